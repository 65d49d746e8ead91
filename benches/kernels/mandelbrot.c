// n: 180
/* Escape times of an n×n picture of the Mandelbrot set: a tight float loop with an unpredictable exit. */
#include "kernel.h"

uint64_t run(uint32_t n) {
  uint64_t checksum = 0;
  for (uint32_t row = 0; row < n; row++)
    for (uint32_t column = 0; column < n; column++) {
      double cx = 3.0 * column / n - 2.1, cy = 2.4 * row / n - 1.2;
      double x = 0, y = 0;
      uint32_t steps = 0;
      while (steps < 200) {
        double xx = x * x, yy = y * y;
        if (xx + yy > 4.0) break;
        y = 2 * x * y + cy;
        x = xx - yy + cx;
        steps++;
      }
      checksum = mix(checksum, steps);
    }
  return checksum;
}
