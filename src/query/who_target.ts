import { RmapError } from '../base/errors.js';
import { PAGE_SHIFT, PAGE_SIZE_BYTES } from '../base/units.js';

/** What `who` is asked about. */
export type WhoTarget =
  /** A page of a process. */
  | { readonly kind: 'address'; readonly pid: number; readonly vpn: number }
  /** A page frame. */
  | { readonly kind: 'pfn'; readonly pfn: number }
  /** Memory files made by memfd_create under this name. */
  | { readonly kind: 'memfd'; readonly name: string }
  /** A file, or one page of it. */
  | { readonly kind: 'file'; readonly path: string; readonly pageIndex: number | undefined }
  | { readonly kind: 'process'; readonly pid: number }
  /** A System V shared memory segment. */
  | { readonly kind: 'shm'; readonly id: number };

const FORMS = 'PID@0xADDR, pfn:N, memfd:NAME, file:PATH[@OFFSET], pid:N, shm:ID';
/** 57 address bits and some; page tables have no more. */
const MOST = 2 ** 53;

function wholeNumber(text: string, target: string): number {
  const value = /^(\d+|0x[0-9a-f]+)$/i.test(text) ? Number(text) : Number.NaN;
  if (value < MOST) return value;
  throw new RmapError('usage', `${target}: ${JSON.stringify(text)} is no number`);
}

function fileTarget(value: string, target: string): WhoTarget {
  const [, path = '', offset] = /^(.+?)(?:@(0x[0-9a-f]+|\d+))?$/is.exec(value) ?? [];
  if (path === '') throw new RmapError('usage', `${target}: no path`);
  const pageIndex =
    offset === undefined ? undefined : Math.floor(wholeNumber(offset, target) / PAGE_SIZE_BYTES);
  return { kind: 'file', path, pageIndex };
}

/** Parses a target as typed. Throws `RmapError('usage')` with the forms that exist. */
export function parseWhoTarget(text: string): WhoTarget {
  const [, pid, address] = /^(\d+)@(0x[0-9a-f]+)$/i.exec(text) ?? [];
  if (pid !== undefined && address !== undefined) {
    const bytes = wholeNumber(address, text);
    return { kind: 'address', pid: Number(pid), vpn: Math.floor(bytes / 2 ** PAGE_SHIFT) };
  }
  const colon = text.indexOf(':');
  const value = text.slice(colon + 1);
  switch (colon < 0 || value === '' ? '' : text.slice(0, colon)) {
    case 'pfn':
      return { kind: 'pfn', pfn: wholeNumber(value, text) };
    case 'memfd':
      return { kind: 'memfd', name: value };
    case 'file':
      return fileTarget(value, text);
    case 'pid':
      return { kind: 'process', pid: wholeNumber(value, text) };
    case 'shm':
      return { kind: 'shm', id: wholeNumber(value, text) };
    default:
      throw new RmapError('usage', `${JSON.stringify(text)}: expected one of ${FORMS}`);
  }
}
