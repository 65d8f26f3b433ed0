/* Asks the host for what it offers: gives the mask of the text's subject, and says what a model made of three numbers.
 */
#include <image_engine/plugin.h>
#include <stdio.h>

static const ie_port kInputs[] = {{sizeof(ie_port), IE_PICTURE, "photo", "", 0}};
static const ie_port kOutputs[] = {{sizeof(ie_port), IE_MASK, "mask", "", IE_OPTIONAL | IE_SAME_SIZE}};
static const ie_parameter kParameters[] = {
    {sizeof(ie_parameter), IE_TEXT, "target", "", 0, 0, 0, "subject", NULL},
    {sizeof(ie_parameter), IE_TEXT, "model", "", 0, 0, 0, "", NULL},
};

static ie_status ask_model(const ie_call* call) {
  const ie_ext_model* model = call->extension(call, IE_EXT_MODEL);
  if (model == NULL) return IE_OK;
  float values[] = {1, 2, 3};
  const ie_tensor input = {sizeof input, 2, {1, 3}, values};
  const ie_tensor* outputs = NULL;
  uint32_t count = 0;
  const ie_status status = model->run(call, call->text(call, 1), &input, 1, &outputs, &count);
  if (status != IE_OK) return status;
  char text[100];
  snprintf(text, sizeof text, "%u: %ux%d %g %g", count, outputs[0].dimensions, (int)outputs[0].shape[1],
           (double)outputs[0].values[0], (double)outputs[0].values[1]);
  call->message(call, text);
  return IE_OK;
}

static ie_status run(void* state, const ie_call* call) {
  (void)state;
  const ie_ext_segment* segment = call->extension(call, IE_EXT_SEGMENT);
  if (segment == NULL) {
    call->message(call, "cannot segment");
    return ask_model(call);
  }
  const ie_picture* mask = NULL;
  const ie_status status = segment->segment(call, call->picture(call, 0), call->text(call, 0), &mask);
  if (status != IE_OK) return status;
  const ie_status given = call->give_picture(call, 0, mask);
  return given == IE_OK ? ask_model(call) : given;
}

IE_EXPORT const ie_plugin image_engine_plugin = {.abi_version = IE_ABI_VERSION,
                                                 .size = sizeof(ie_plugin),
                                                 .name = "asking",
                                                 .version = "1",
                                                 .licence = "MIT",
                                                 .inputs = kInputs,
                                                 .input_count = 1,
                                                 .outputs = kOutputs,
                                                 .output_count = 1,
                                                 .parameters = kParameters,
                                                 .parameter_count = 2,
                                                 .run = run};
