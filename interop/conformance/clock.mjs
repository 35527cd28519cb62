// A clock that stands still until it is set. Imported before BullMQ, so that all of it lives by this time.

const RealDate = Date;
let now = RealDate.now();

globalThis.Date = class Date extends RealDate {
  constructor(...parts) {
    if (parts.length === 0) super(now);
    else super(...parts);
  }

  static now() {
    return now;
  }
};

/** Sets the time, epoch milliseconds. */
export function setTime(ms) {
  now = ms;
}
