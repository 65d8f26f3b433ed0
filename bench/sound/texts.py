"""What is said in the inputs of bench/sound."""

# The first sentence of A Tale of Two Cities, Charles Dickens, 1859, to where two_cities.wav ends.
TWO_CITIES = """It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it was the
epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the season of Darkness, it was the spring of hope,
it was the winter of despair, we had everything before us, we had nothing before us, we were all going direct to Heaven, we were all going
direct the other way. In short, the period was so far like the present period, that some of its noisiest authorities insisted on its being
received, for good or for evil, in the superlative degree of comparison only."""

# Spoken by espeak-ng: its voice, and the text.
SPOKEN = {
    "en": ("en-us", "Good morning everyone, and welcome to the annual meeting of the garden society. Last year we planted over three hundred "
           "trees along the river, and twenty seven of our members helped every weekend. This spring we want to build a small bridge, repair "
           "the old wooden fence, and invite the school children to sow wild flowers. Please tell us if you can bring a shovel, a wheelbarrow, "
           "or simply a cake for the volunteers."),
    "de": ("de", "Guten Morgen zusammen und herzlich willkommen zur Jahresversammlung des Gartenvereins. Im letzten Jahr haben wir mehr als "
           "dreihundert Bäume am Fluss gepflanzt, und viele Mitglieder haben jedes Wochenende geholfen. In diesem Frühling wollen wir eine "
           "kleine Brücke bauen, den alten Zaun reparieren und die Schulkinder einladen, Blumen zu säen. Bitte sagen Sie uns, ob Sie eine "
           "Schaufel, eine Schubkarre oder einfach einen Kuchen mitbringen können."),
    "fr": ("fr-fr", "Bonjour à tous et bienvenue à la réunion annuelle de la société des jardins. L'année dernière, nous avons planté plus "
           "de trois cents arbres le long de la rivière, et beaucoup de nos membres ont aidé chaque semaine. Ce printemps, nous voulons construire "
           "un petit pont, réparer la vieille clôture et inviter les enfants de l'école à semer des fleurs. Dites-nous si vous pouvez apporter "
           "une pelle, une brouette ou simplement un gâteau."),
    "es": ("es", "Buenos días a todos y bienvenidos a la reunión anual de la sociedad de jardines. El año pasado plantamos más de trescientos "
           "árboles a lo largo del río, y muchos de nuestros miembros ayudaron cada semana. Esta primavera queremos construir un pequeño "
           "puente, reparar la vieja cerca e invitar a los niños de la escuela a sembrar flores. Por favor, díganos si puede traer una pala, "
           "una carretilla o simplemente un pastel."),
    "it": ("it", "Buongiorno a tutti e benvenuti alla riunione annuale della società dei giardini. L'anno scorso abbiamo piantato più di "
           "trecento alberi lungo il fiume, e molti dei nostri soci hanno aiutato ogni settimana. Questa primavera vogliamo costruire un piccolo "
           "ponte, riparare il vecchio recinto e invitare i bambini della scuola a seminare fiori. Per favore, diteci se potete portare una "
           "pala, una carriola o semplicemente una torta."),
}  # fmt: skip
