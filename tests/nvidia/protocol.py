"""What NVIDIA's servers and NIM containers answer, as docs/nvidia.md has it: for server.py.

It sees what there is to see in a picture that arrives: its size and its main colour. Pictures with metadata, bodies
over NVIDIA's limits, keys where none may be and assets that are not what was announced are refused.
"""

import base64
import hashlib
import io
import json
import re
import threading
import uuid
import zipfile
from urllib.parse import urlsplit

from PIL import Image

JSON = {"Content-Type": "application/json"}
MOST_INLINE = 180_000
LOCK = threading.Lock()
ASSETS = {}  # number → {"contentType", "description", "bytes"}
WAITING = {}  # number of a request → [polls until it is ready, reply]
DOWNLOADS = {}  # number of a request → zip


class Refused(Exception):
    def __init__(self, status, detail):
        super().__init__(detail)
        self.status = status


def check(condition, status, detail):
    if not condition:
        raise Refused(status, detail)


def reply_json(document, status=200, **headers):
    return status, JSON | headers, json.dumps(document).encode()


def read(body):
    try:
        document = json.loads(body)
    except ValueError:
        raise Refused(400, "no JSON") from None
    check(isinstance(document, dict), 400, "no JSON object")
    return document


# Pictures


def opened(content):
    try:
        picture = Image.open(io.BytesIO(content))
        picture.load()
    except OSError:
        raise Refused(422, "not a picture") from None
    check(picture.format == "JPEG", 422, "not a JPEG")
    metadata = set(picture.info) & {"exif", "xmp", "photoshop", "comment"}
    check(not metadata, 422, f"the picture has metadata: {sorted(metadata)}")
    return picture


def of_base64(text, most=MOST_INLINE):
    check(isinstance(text, str), 422, "no picture")
    check(most is None or len(text) < most, 413, "the picture is too large")
    try:
        return opened(base64.b64decode(text, validate=True))
    except ValueError:
        raise Refused(422, "no base64") from None


def of_address(address, most=None):
    """Of a data URI; of an address elsewhere, which nothing here fetches, a picture that stands for it."""
    check(isinstance(address, str), 422, "no address of a picture")
    if address.startswith("https://"):
        return Image.new("RGB", (64, 48), "white")
    kind, comma, content = address.partition(",")
    check(kind in ("data:image/jpeg;base64", "data:image/jpeg;asset_id") and comma, 422, "no picture")
    return opened(asset(content)["bytes"]) if kind.endswith("asset_id") else of_base64(content, most)


def colour(picture):
    red, green, blue = picture.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    if max(red, green, blue) - min(red, green, blue) < 24:
        return "grey"
    return {red: "red", green: "green", blue: "blue"}[max(red, green, blue)]


def predictions(width, height):
    def one(name, confidence, x, y, w, h):
        return {"class": name, "confidence": confidence, "bbox": [x * width, y * height, w * width, h * height]}

    return {"predictions": [one("bottle", 0.92, 0.125, 0.25, 0.25, 0.5), one("package", 0.84, 0.5, 0.5, 0.75, 0.25),
                            one("bottle", 0.81, 0.5, 0.0, 0.25, 0.25), one("can", 0.31, 0.0, 0.0, 0.5, 0.5)]}  # fmt: skip


def sentence(picture):
    return f"A bicycle beside a {colour(picture)} wall."


def vector(what):
    seed = hashlib.sha256(what.encode()).digest()
    return [byte - 127.5 for byte in seed * 32]


def vector_of(item):
    check(isinstance(item, str), 422, "input is no text")
    return vector(sentence(of_address(item)) if item.startswith("data:image") else item)


# Cloud Functions


def asset(number):
    with LOCK:
        known = ASSETS.get(number)
    check(known is not None and known["bytes"], 404, f"failed to find asset {number}")
    return known


def origin(headers):
    host = headers["Host"]
    return f"{'https' if host.startswith('localhost') else 'http'}://{host}"


def create_asset(path, headers, body):
    told = read(body)
    check(told.get("contentType") and told.get("description"), 400, "contentType and description are needed")
    number = str(uuid.uuid4())
    with LOCK:
        ASSETS[number] = told | {"bytes": b""}
    return reply_json({"assetId": number, "uploadUrl": f"{origin(headers)}/upload/{number}?X-Amz-Signature=secret"} | told)


def upload(path, headers, body):
    number = path.rsplit("/", 1)[1]
    with LOCK:
        check(number in ASSETS, 404, "no such upload")
        told = ASSETS[number]
    check("Authorization" not in headers, 400, "only one way of authorisation is allowed")
    check(headers.get("Content-Type") == told["contentType"], 403, "SignatureDoesNotMatch")
    check(headers.get("x-amz-meta-nvcf-asset-description") == told["description"], 403, "SignatureDoesNotMatch")
    with LOCK:
        told["bytes"] = body
    return 200, {}, b""


def remove_asset(path, headers, body):
    number = path.rsplit("/", 1)[1]
    with LOCK:
        check(ASSETS.pop(number, None) is not None, 404, f"Asset '{number}' does not exist for account 'test'")
    return 204, {}, b""


def later(polls, reply):
    """202, and the reply after so many further ones."""
    number = str(uuid.uuid4())
    with LOCK:
        WAITING[number] = [polls, reply]
    return 202, {"NVCF-REQID": number, "NVCF-STATUS": "in-progress"}, b""


def status(path, headers, body):
    number = path.rsplit("/", 1)[1]
    with LOCK:
        check(number in WAITING, 404, "no such request")
        WAITING[number][0] -= 1
        if WAITING[number][0] >= 0:
            return 202, {"NVCF-REQID": number, "NVCF-STATUS": "in-progress"}, b""
        return WAITING.pop(number)[1]


def zipped(headers, document):
    """302 to a zip of the answer and of a picture that nobody asked for."""
    number = str(uuid.uuid4())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotated/frame.mp4", bytes(1000))
        archive.writestr(f"{number}.response", json.dumps(document))
    with LOCK:
        DOWNLOADS[number] = packed.getvalue()
    return 302, {"Location": f"{origin(headers)}/download/{number}?X-Amz-Signature=secret"}, b""


def download(path, headers, body):
    with LOCK:
        check(path.rsplit("/", 1)[1] in DOWNLOADS, 404, "no such download")
        return 200, {"Content-Type": "application/zip"}, DOWNLOADS.pop(path.rsplit("/", 1)[1])


# Models


def detect(path, headers, body):
    asked = read(body)
    if "input_video" not in asked:
        check(isinstance(asked.get("confidence_threshold"), (int, float)), 422, "confidence_threshold is needed")
        return reply_json(predictions(*of_base64(asked.get("image")).size))
    check(0.1 <= asked.get("threshold", 0) <= 1, 422, "threshold is from 0.1 to 1")
    check(headers.get("NVCF-INPUT-ASSET-REFERENCES") == asked["input_video"], 422, "an asset that is not referred to")
    content = asset(asked["input_video"])
    is_video = content["contentType"] == "video/mp4"
    size = (1, 1) if is_video else opened(content["bytes"]).size
    return later(1, zipped(headers, predictions(*size)))


def chat_completion(text):
    return {"object": "chat.completion",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}  # fmt: skip


def describe(path, headers, body):
    asked = read(body)
    check(isinstance(asked.get("max_tokens"), int) and 0 <= asked.get("temperature", -1) <= 2, 422, "max_tokens, temperature")
    if "messages" not in asked:
        check(isinstance(asked.get("prompt"), str) and asked["prompt"], 422, "prompt is needed")
        return reply_json({"text": sentence(of_base64(asked.get("image")))})
    found = re.search(r'<img src="([^"]+)" />', asked["messages"][0]["content"])
    check(found, 422, "no picture")
    reply = reply_json(chat_completion(sentence(of_address(found[1], MOST_INLINE))))
    return later(0, reply) if "asset_id" in found[1] else reply


def chat(path, headers, body):
    asked = read(body)
    check(asked.get("model"), 422, "model is needed")
    parts = {part.get("type"): part for part in asked["messages"][0]["content"]}
    check("text" in parts and "image_url" in parts, 422, "a text and a picture are needed")
    return reply_json(chat_completion(sentence(of_address(parts["image_url"]["image_url"]["url"]))))


def embeddings(path, headers, body):
    asked = read(body)
    check(set(asked) == {"input", "model", "encoding_format"}, 422, "members that are not known")
    check(isinstance(asked["input"], list) and len(asked["input"]) <= 64, 422, "input is no list of at most 64")
    data = [{"object": "embedding", "index": index, "embedding": vector_of(item)}
            for index, item in enumerate(asked["input"], 1)]  # fmt: skip
    return reply_json({"object": "list", "data": data, "model": asked["model"]})


def embed(path, headers, body):
    asked = read(body)
    if "image" in asked:
        return reply_json({"image_embedding": vector(sentence(of_base64(asked["image"])))})
    return reply_json({"text_embedding": vector_of(asked.get("text"))})


def embed_prompts(path, headers, body):
    asked = read(body)
    if "image_url" in asked:
        return reply_json({"image_embeddings": [vector(sentence(of_address(asked["image_url"])))]})
    return reply_json({"text_embeddings": [vector_of(text) for text in asked.get("text_prompts", [])]})


def models(path, headers, body):
    return reply_json({"object": "list", "data": [{"id": "nvidia/nvclip", "object": "model"}]})


def ready(path, headers, body):
    return reply_json({"object": "health.response", "message": "Service is ready."})


ROUTES = [
    ("POST", r"(/v1)?/cv/nvidia/retail-object-detection", detect),
    ("POST", r"(/v1)?/vlm/.+", describe),
    ("POST", r"(/v1)?/chat/completions", chat),
    ("POST", r"(/v1)?/embeddings", embeddings),
    ("POST", r"(/v1)?/embed", embed),
    ("POST", r"(/v1)?/nim/nvclip/embed", embed_prompts),
    ("GET", r"/v1/models", models),
    ("GET", r"/v1/health/ready", ready),
    ("POST", r"/v2/nvcf/assets", create_asset),
    ("DELETE", r"/v2/nvcf/assets/[-\w]+", remove_asset),
    ("GET", r"/v2/nvcf/pexec/status/[-\w]+", status),
    ("GET", r"/v1/status/[-\w]+", status),
    ("PUT", r"/upload/[-\w]+", upload),
    ("GET", r"/download/[-\w]+", download),
]


def answer(method, path, headers, body):
    path = urlsplit(path).path
    for wanted, pattern, respond in ROUTES:
        if method == wanted and re.fullmatch(pattern, path):
            try:
                return respond(path, headers, body)
            except Refused as refused:
                detail = {"title": "Refused", "status": refused.status, "detail": str(refused)}
                return refused.status, {"Content-Type": "application/problem+json"}, json.dumps(detail).encode()
    return 404, {"Content-Type": "text/plain"}, b"404 page not found"
