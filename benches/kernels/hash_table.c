// n: 600000
/* n inserts, lookups and removals in an open-addressing table of 2^17 slots: random access and short probes. */
#include "kernel.h"

enum { BITS = 17, SLOTS = 1 << BITS };
typedef struct {
  uint64_t key; /* 0: empty */
  uint32_t value;
} slot_t;
static slot_t slots[SLOTS];

static inline uint32_t home(uint64_t key) { return (uint32_t)(key * 0x9e3779b97f4a7c15ull >> (64 - BITS)); }

static slot_t *find(uint64_t key) {
  uint32_t at = home(key);
  while (slots[at].key && slots[at].key != key) at = (at + 1) & (SLOTS - 1);
  return &slots[at];
}

/* Closes the gap instead of leaving a tombstone. */
static void remove_slot(uint32_t gap) {
  for (uint32_t at = (gap + 1) & (SLOTS - 1); slots[at].key; at = (at + 1) & (SLOTS - 1))
    if (((at - home(slots[at].key)) & (SLOTS - 1)) >= ((at - gap) & (SLOTS - 1))) {
      slots[gap] = slots[at];
      gap = at;
    }
  slots[gap].key = 0;
}

uint64_t run(uint32_t n) {
  for (uint32_t i = 0; i < SLOTS; i++) slots[i].key = 0, slots[i].value = 0;
  random_t random = random_new(19);
  uint64_t checksum = 0;
  uint32_t live = 0;
  for (uint32_t i = 0; i < n; i++) {
    uint64_t key = 1 + random_next(&random) % (SLOTS / 2);
    slot_t *slot = find(key);
    if (slot->key == 0) {
      slot->key = key, slot->value = i, live++;
    } else if ((i & 3) == 0) {
      remove_slot((uint32_t)(slot - slots)), live--;
    } else {
      checksum = mix(checksum, slot->value++);
    }
  }
  return mix(checksum, live);
}
