/** One element of a document that we write. Its texts are raw: they are escaped when written, nowhere else. */
export interface XmlElement {
  readonly name: string;
  /** One that is undefined is not written. */
  readonly attributes: Readonly<Record<string, string | number | undefined>>;
  readonly content: readonly XmlElement[] | string;
}

export function element(
  name: string,
  attributes: XmlElement['attributes'] = {},
  content: XmlElement['content'] = [],
): XmlElement {
  return { name, attributes, content };
}
