/** The length-delimited fields of a protocol buffer message; numbers are skipped over. */
export function fields(message: Uint8Array): [field: number, value: Uint8Array][] {
  const found: [number, Uint8Array][] = [];
  let at = 0;
  const next = () => {
    const [value, end] = varint(message, at);
    at = end;
    return value;
  };
  while (at < message.length) {
    const key = next();
    const wireType = key % 8;
    if (wireType === 0) next();
    else if (wireType === 1) at += 8;
    else if (wireType === 5) at += 4;
    else {
      const length = next();
      found.push([Math.floor(key / 8), message.subarray(at, at += length)]);
    }
  }
  return found;
}

/** The number at `start`, in base 128 with the lowest digit first, and where it ends. */
export function varint(bytes: Uint8Array, start: number): [value: number, end: number] {
  let value = 0, end = start;
  for (let shift = 1; end < bytes.length; shift *= 128) {
    const byte = bytes[end++]!;
    value += (byte & 0x7F) * shift;
    if (byte < 0x80) break;
  }
  return [value, end];
}
