// JSON lines on stdin and stdout, and errors as plain data: what all scripts of this folder share.

import { createInterface } from 'node:readline';

/** Prints one value as one line. Errors and maps, which JSON would lose, are printed as plain objects. */
export function print(value) {
  process.stdout.write(`${JSON.stringify(value, plain)}\n`);
}

/** Every line of stdin, parsed; ends with stdin. */
export async function* input() {
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    if (line.trim() !== '') yield JSON.parse(line);
  }
}

/** An error as data. */
export function described(error) {
  return { name: error?.name ?? 'Error', message: error?.message ?? String(error), code: error?.code };
}

function plain(_key, value) {
  if (value instanceof Error) return described(value);
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  return value;
}
