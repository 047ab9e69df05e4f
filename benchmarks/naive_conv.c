/* The plain loops that the simulator is compared with: an int8 convolution, valid padding.
 *
 * x [ins][height][width], w [outs][ins][k][k], y [outs][out_height][out_width]; channels last
 * would be kinder to the cache, but this is what one writes down first.
 */
#include <stdint.h>

void naive_conv(const int8_t* x, const int8_t* w, int32_t* y, int ins, int outs, int height,
                int width, int k, int stride, int out_height, int out_width) {
  for (int o = 0; o < outs; ++o)
    for (int i = 0; i < out_height; ++i)
      for (int j = 0; j < out_width; ++j) {
        int32_t sum = 0;
        for (int c = 0; c < ins; ++c)
          for (int u = 0; u < k; ++u)
            for (int v = 0; v < k; ++v)
              sum += x[(c * height + i * stride + u) * width + j * stride + v] *
                     w[((o * ins + c) * k + u) * k + v];
        y[(o * out_height + i) * out_width + j] = sum;
      }
}
