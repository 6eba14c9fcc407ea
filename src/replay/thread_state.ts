import { FAULT_ERROR } from '../trace/event.js';
import type { CallRecord } from './steps.js';

/** No sequence number, no frame. */
export const NO_PLACE = -1;
const PRESENT_WRITE = FAULT_ERROR.present | FAULT_ERROR.write;

/** What is pending in one thread. */
export interface ThreadState {
  /** Sequence number of a fault whose outcome is not known yet. */
  fault: number;
  /** The last fault got a page, and nothing tells that it is over. */
  isInFault: boolean;
  address: number;
  error: number;
  instructionPointer: number;
  /** Page or block that it got where none was, until a counter tells that it is mapped. */
  pfn: number;
  order: number;
  /** It let go of that page, to wait for something, and may get another. */
  hasGivenUp: boolean;
  call: CallRecord | undefined;
  /** Sequence number of the place where its fork copied the mm. */
  fork: number;
}

/** The thread's fault got a page. */
export function noteFrame(thread: ThreadState, pfn: number, order: number): void {
  const isFirst = (thread.error & PRESENT_WRITE) === FAULT_ERROR.write;
  thread.isInFault = true;
  thread.hasGivenUp = false;
  thread.pfn = isFirst ? pfn : NO_PLACE;
  thread.order = order;
}

/** The thread's last fault is over. */
export function forgetFault(thread: ThreadState): void {
  thread.isInFault = false;
  thread.hasGivenUp = false;
  thread.pfn = NO_PLACE;
}

export function newThread(): ThreadState {
  return {
    fault: NO_PLACE,
    isInFault: false,
    address: 0,
    error: 0,
    instructionPointer: 0,
    pfn: NO_PLACE,
    order: 0,
    hasGivenUp: false,
    call: undefined,
    fork: NO_PLACE,
  };
}
