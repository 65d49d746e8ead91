/* What the programs of p3 share: waiting for streams, futures and calls. */
#ifndef AMPOULE_GUEST_WAITING_H
#define AMPOULE_GUEST_WAITING_H

#include "claims.h"

/* A call that answers false and the variant `expected`; the last argument of the call is `&error`. */
#define FAILS_WITH(call, expected) CLAIM(!(call) && error.tag == (expected))

/* What a waitable is told next. */
__attribute__((unused)) static uint32_t told(uint32_t waitable) {
  guest_waitable_set_t set = guest_waitable_set_new();
  guest_event_t event;
  guest_waitable_join(waitable, set);
  guest_waitable_set_wait(set, &event);
  CLAIM(event.waitable == waitable);
  guest_waitable_join(waitable, 0);
  guest_waitable_set_drop(set);
  return event.code;
}

/* The status of a read or write of this end, now or later. */
__attribute__((unused)) static guest_waitable_status_t settled(guest_waitable_status_t status, uint32_t end) {
  return status == GUEST_WAITABLE_STATUS_BLOCKED ? told(end) : status;
}

/* Streams of bytes are alike, whichever interface's they are. */
typedef guest_waitable_status_t read_bytes_t(uint32_t reader, uint8_t *bytes, size_t length);
typedef guest_waitable_status_t write_bytes_t(uint32_t writer, const uint8_t *bytes, size_t length);

/* Reads what there is next, `*got` bytes; false where the other end was dropped, and nothing more must be read. */
__attribute__((unused)) static bool read_part(read_bytes_t *read, uint32_t reader, void *bytes, size_t room, size_t *got) {
  guest_waitable_status_t status = settled(read(reader, bytes, room), reader);
  *got = GUEST_WAITABLE_COUNT(status);
  return GUEST_WAITABLE_STATE(status) == GUEST_WAITABLE_COMPLETED;
}

/* Reads until the other end is dropped, or there is no room for more; returns how many bytes there were. */
__attribute__((unused)) static size_t read_all(read_bytes_t *read, uint32_t reader, void *bytes, size_t room) {
  size_t total = 0, got = 0;
  for (bool more = true; more && total < room; total += got) {
    more = read_part(read, reader, (uint8_t *)bytes + total, room - total, &got);
  }
  return total;
}

/* Whether what is left of a stream is this text. */
__attribute__((unused)) static bool reads(read_bytes_t *read, uint32_t reader, const char *text) {
  char bytes[256];
  return read_all(read, reader, bytes, sizeof bytes) == strlen(text) && memcmp(bytes, text, strlen(text)) == 0;
}

/* Writes until all is taken, or the other end is dropped; returns how many bytes were taken. */
__attribute__((unused)) static size_t write_all(write_bytes_t *write, uint32_t writer, const void *bytes, size_t length) {
  size_t done = 0;
  while (done < length) {
    guest_waitable_status_t status = settled(write(writer, (const uint8_t *)bytes + done, length - done), writer);
    done += GUEST_WAITABLE_COUNT(status);
    if (GUEST_WAITABLE_STATE(status) != GUEST_WAITABLE_COMPLETED) break;
  }
  return done;
}

#endif
