// Asks an X.509 certificate whether it bears an extension: Node's own class does not say.
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
 * Read by the structure, and not by searching for the bytes: those could stand in a name or a key that its owner chose.
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

/** The fields that stand one after another in the bytes. Node parsed the certificate before: it is sound DER. */
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
