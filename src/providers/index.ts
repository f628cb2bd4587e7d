// The interface of the providers to the rest of Postbell: registry, verifying, reading, answering and signing.

export {
  acceptedAnswerOf,
  answerFactsOf,
  bodyLimitOf,
  effectOf,
  unavailableStatusOf,
} from './answers.ts';
export { parseExactly, queryAsForm } from './body/body.ts';
export { describeHandshakes, describeProvider, type ProviderGuide, usualAnswer } from './describe.ts';
export { type Diagnosis, diagnoseRejection, unconfirmed } from './diagnose.ts';
export { didYouMean } from './did-you-mean.ts';
export { sameText } from './equal.ts';
export { answerHandshake, handshakeMethods, queryParam } from './handshake.ts';
export { keptHeaders } from './kept-headers.ts';
export {
  hasSignatureInBody,
  hidden,
  isSignatureHeader,
  type KnownSecrets,
  type MaskedRequest,
  maskRequest,
  secretsOf,
} from './mask.ts';
export { unknownProvider, unknownSource } from './names.ts';
export type {
  AnswerEffect,
  Delivery,
  EventDraft,
  Handover,
  HandshakeAnswer,
  OutgoingRequest,
  PayloadError,
  Provider,
  Rejection,
  RejectionReason,
  Source,
  Verdict,
} from './provider.ts';
export { couldBecomeValid, quarantineProblem, reducedToProof } from './quarantine.ts';
export { madePrefix, maxEventsPerDelivery, readDrafts } from './read-events.ts';
export {
  type ApiAnswer,
  type ApiList,
  type ApiRequest,
  type MadeEvents,
  type Pull,
  type RecoverSpec,
  type Redeliver,
  textAt,
} from './recover.ts';
export { type ParsedRecovers, parseRecovers, type RecoverSource } from './recover-sources.ts';
export { hashText } from './redaction.ts';
export { findProvider, type ProviderName, providers } from './registry.ts';
export { asDelivery } from './schemes/delivery.ts';
export { type DeliveryOptions, signDelivery } from './sign.ts';
export { verifyDelivery } from './verify.ts';
