import { RmapError } from '../base/errors.js';
import type { FieldName } from './recording.js';

/** Columns that an `other` event can fill. */
const MOST_FIELDS = 6;

/**
 * Which cell (a … f) holds which field of each `other` event: the order in which the fields of
 * that event were first seen.
 */
export class FieldRegistry {
  readonly #fields = new Map<string, FieldName[]>();

  get all(): ReadonlyMap<string, readonly FieldName[]> {
    return this.#fields;
  }

  /** Cell number of a field, assigned when it is new. */
  cell(event: string, name: string, type: FieldName['type']): number {
    let fields = this.#fields.get(event);
    if (fields === undefined) {
      fields = [];
      this.#fields.set(event, fields);
    }
    for (let cell = 0; cell < fields.length; cell += 1) {
      if (fields[cell]?.name !== name) continue;
      if (fields[cell]?.type === type) return cell;
      throw new RmapError('input', `field ${name} of ${event} is a text here, a number elsewhere`);
    }
    if (fields.length === MOST_FIELDS) {
      throw new RmapError('input', `event ${event} has more than ${MOST_FIELDS} fields`);
    }
    fields.push({ name, type });
    return fields.length - 1;
  }
}
