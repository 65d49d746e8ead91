// n: 60000
/* n steps of five bodies under gravity: double arithmetic with square roots and divisions, all data in a few lines of cache. */
#include "kernel.h"

typedef struct {
  double x, y, z, vx, vy, vz, mass;
} body_t;

enum { BODIES = 5 };
static body_t bodies[BODIES];

static void step(double dt) {
  for (int i = 0; i < BODIES; i++) {
    body_t *a = &bodies[i];
    for (int j = i + 1; j < BODIES; j++) {
      body_t *b = &bodies[j];
      double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
      double square = dx * dx + dy * dy + dz * dz + 0.01;
      double pull = dt / (square * __builtin_sqrt(square));
      a->vx -= dx * b->mass * pull, a->vy -= dy * b->mass * pull, a->vz -= dz * b->mass * pull;
      b->vx += dx * a->mass * pull, b->vy += dy * a->mass * pull, b->vz += dz * a->mass * pull;
    }
  }
  for (int i = 0; i < BODIES; i++) {
    body_t *a = &bodies[i];
    a->x += dt * a->vx, a->y += dt * a->vy, a->z += dt * a->vz;
  }
}

uint64_t run(uint32_t n) {
  random_t random = random_new(5);
  for (int i = 0; i < BODIES; i++) {
    body_t body = {i * 3.0, random_unit(&random), random_unit(&random) - 0.5,  random_unit(&random) - 0.5,
                   i * 0.1, 0.01 * i,             i == 0 ? 40.0 : 0.1 + 0.01 * i};
    bodies[i] = body;
  }
  for (uint32_t i = 0; i < n; i++) step(0.001);
  uint64_t checksum = 0;
  for (int i = 0; i < BODIES; i++) checksum = mix_double(mix_double(checksum, bodies[i].x), bodies[i].vz);
  return checksum;
}
