#include "cli/app.h"

int main(int argc, char** argv) { return image_engine::cli::run(argc, argv); }
