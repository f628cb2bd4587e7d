// Checks whether an X.509 certificate has an extension: Node's own class cannot.
import type { X509Certificate } from 'node:crypto';

interface Field {
  tag: number;
  content: Buffer;
  end: number;
}

const sequenceTag = 0x30;
const objectIdTag = 0x06;
/** `[3]` of a TBSCertificate: its extensions. */
const extensionsTag = 0xa3;

/**
 * Reads the structure instead of searching for the bytes: a certificate's owner could put them into a name or a key.
 * @param objectId the DER content of the identifier, in hexadecimal digits
 */
export function hasExtension(certificate: X509Certificate, objectId: string): boolean {
  const [whole] = fieldsOf(certificate.raw);
  const [toBeSigned] = whole ? fieldsOf(whole.content) : [];
  if (!toBeSigned) return false;
  const extensions = fieldsOf(toBeSigned.content).find(({ tag }) => tag === extensionsTag);
  const [list] = extensions ? fieldsOf(extensions.content) : [];
  return list !== undefined && fieldsOf(list.content).some((extension) => isNamed(extension, objectId));
}

function isNamed({ tag, content }: Field, objectId: string): boolean {
  const [name] = tag === sequenceTag ? fieldsOf(content) : [];
  return name?.tag === objectIdTag && name.content.toString('hex') === objectId;
}

/** The consecutive fields in the bytes. Node has parsed the certificate before, so the DER is valid. */
function fieldsOf(bytes: Buffer): Field[] {
  const fields: Field[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const field = fieldAt(bytes, at);
    if (field.end > bytes.length) break;
    fields.push(field);
    at = field.end;
  }
  return fields;
}

function fieldAt(bytes: Buffer, at: number): Field {
  const tag = bytes.readUInt8(at);
  const first = bytes.readUInt8(at + 1);
  const lengthBytes = first < 0x80 ? 0 : Math.min(first & 0x7f, 6, bytes.length - at - 2);
  const start = at + 2 + lengthBytes;
  const length = lengthBytes === 0 ? first & 0x7f : bytes.readUIntBE(at + 2, lengthBytes);
  return { tag, content: bytes.subarray(start, start + length), end: start + length };
}
