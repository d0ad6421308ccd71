// The little that every engine has and the language's own library does not declare.
declare class TextDecoder {
  decode(bytes: Uint8Array): string;
}
