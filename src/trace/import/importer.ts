/** A reader of the text that some other tool printed. */
export interface TextImporter {
  /** Name of the tool, for the recording's `source`. */
  readonly source: string;
  /** Takes one line and adds its events to the sink. */
  line(line: string): void;
  /** Called after the last line; returns what this text could not tell, as sentences. */
  finish(): string[];
}
