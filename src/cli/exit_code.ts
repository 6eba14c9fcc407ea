/** What the exit status of every command means; the list is part of the public interface. */
export type ExitCode = 0 | 1 | 2 | 3 | 4 | 70;

/** Ran, and what was asked about holds. */
export const EXIT_OK: ExitCode = 0;
/** Ran and found something: a divergence, a counterexample, a failed budget. */
export const EXIT_FOUND: ExitCode = 1;
/** Wrong usage or malformed input. */
export const EXIT_USAGE: ExitCode = 2;
/** This machine cannot do it; the message names the missing capability and the fallback. */
export const EXIT_ENVIRONMENT: ExitCode = 3;
/** Completed, but events were lost on the way. */
export const EXIT_LOST_EVENTS: ExitCode = 4;
/** A bug in rmap. */
export const EXIT_BUG: ExitCode = 70;
