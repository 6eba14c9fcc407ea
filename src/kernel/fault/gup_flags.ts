/** @kernel FOLL_WRITE */
export const FOLL_WRITE = 1;
/** One reference a page. @kernel FOLL_GET */
export const FOLL_GET = 2;
/** A pin: the page may be read and written by a device. @kernel FOLL_PIN */
export const FOLL_PIN = 4;
/** @kernel FOLL_LONGTERM */
export const FOLL_LONGTERM = 8;
/** Override the VMA's protection where a private copy makes that safe. @kernel FOLL_FORCE */
export const FOLL_FORCE = 16;
/** Mark pages accessed (and dirty for writes). @kernel FOLL_TOUCH */
export const FOLL_TOUCH = 32;
/** Split a PMD mapping so that a PTE is found. @kernel FOLL_SPLIT_PMD */
export const FOLL_SPLIT_PMD = 64;
