// Reads the bytes of multipart/form-data bodies: one text field by its name, or all fields and files.
import { isUtf8 } from 'node:buffer';
import type { Delivery } from '../provider.ts';
import { formToObject } from './form.ts';

const maxPartsForOneField = 50;
/** Mails with files bring all mail headers, each as a field. */
const maxFields = 1_000;
const maxHeadBytes = 8_192;
const headDelimiter = Buffer.from('\r\n\r\n');
const dash = 45;

/** A field's text; undefined if the body is no multipart form, or the field is absent, sent twice or not UTF-8. */
export function multipartField(
  { headers, body }: Pick<Delivery, 'headers' | 'body'>,
  name: string,
): string | undefined {
  const boundary = boundaryOf(headers);
  if (boundary === undefined) return undefined;
  const found = partsOf(body, boundary, maxPartsForOneField).filter(({ head }) => nameIn(head) === name);
  const content = found.length === 1 ? found[0]?.content : undefined;
  return content && isUtf8(content) ? content.toString('utf8') : undefined;
}

/** A file, or a field whose bytes are not UTF-8 text. */
export interface FormFile {
  filename?: string;
  contentType?: string;
  base64: string;
}

/**
 * `{ name: value }`, a repeated name as an array, files as `FormFile`; undefined if the body is no multipart form, or
 * has more than 1,000 fields.
 */
export function multipartToObject({
  headers,
  body,
}: Pick<Delivery, 'headers' | 'body'>): Record<string, unknown> | undefined {
  const boundary = boundaryOf(headers);
  if (boundary === undefined) return undefined;
  const parts = partsOf(body, boundary, maxFields + 1);
  if (parts.length === 0 || parts.length > maxFields) return undefined;
  const fields: [string, string | FormFile][] = [];
  for (const { head, content } of parts) {
    const name = nameIn(head);
    if (name === undefined) return undefined;
    const filename = /^content-disposition:[^\r\n]*;\s*filename="([^"\r\n]{0,500})"/im.exec(head)?.[1];
    const contentType = /^content-type:\s*([^\r\n]{1,200})/im.exec(head)?.[1];
    const isText = filename === undefined && isUtf8(content);
    const file = () => ({
      ...(filename === undefined ? {} : { filename }),
      ...(contentType === undefined ? {} : { contentType }),
      base64: content.toString('base64'),
    });
    fields.push([name, isText ? content.toString('utf8') : file()]);
  }
  return formToObject(fields, false);
}

/** The body and content type of a form with one field. */
export function multipartBody(name: string, text: string): { body: Buffer; contentType: string } {
  const boundary = 'postbell-6f1ed002ab5595859014ebf0951522d9';
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n`;
  return {
    body: Buffer.from(`${head}${text}\r\n--${boundary}--\r\n`),
    contentType: `multipart/form-data; boundary=${boundary}`,
  };
}

function boundaryOf(headers: Delivery['headers']): string | undefined {
  return /^multipart\/form-data\s*;.*\bboundary="?([\w'()+,./:=?-]{1,70})"?/i.exec(
    headers['content-type']?.[0] ?? '',
  )?.[1];
}

function partsOf(body: Buffer, boundary: string, maxParts: number): { head: string; content: Buffer }[] {
  const parts: { head: string; content: Buffer }[] = [];
  // A line break before the body lets the first line be the first delimiter.
  const text = Buffer.concat([Buffer.from('\r\n'), body]);
  const mark = Buffer.from(`\r\n--${boundary}`);
  let start = nextDelimiter(text, mark, 0);
  while (start >= 0 && parts.length < maxParts && text[start + mark.length] !== dash) {
    const headStart = start + mark.length + 2;
    const headEnd = text.indexOf(headDelimiter, headStart);
    const end = headEnd < 0 ? -1 : nextDelimiter(text, mark, headEnd + 2);
    if (end < 0 || headEnd - headStart > maxHeadBytes) break;
    const content = text.subarray(
      headEnd + headDelimiter.length,
      Math.max(end, headEnd + headDelimiter.length),
    );
    parts.push({ head: text.toString('utf8', headStart, headEnd), content });
    start = end;
  }
  return parts;
}

/** The position of the next line that is exactly the delimiter. A line that only begins like one does not count. */
function nextDelimiter(text: Buffer, mark: Buffer, from: number): number {
  let at = text.indexOf(mark, from);
  while (at >= 0 && !/^(?:--|\r\n)$/.test(text.toString('latin1', at + mark.length, at + mark.length + 2)))
    at = text.indexOf(mark, at + 1);
  return at;
}

function nameIn(head: string): string | undefined {
  return /^content-disposition:\s*form-data\s*;(?:.*;)?\s*name="([^"\r\n]{1,200})"/im.exec(head)?.[1];
}
