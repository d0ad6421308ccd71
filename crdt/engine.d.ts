// The little that every engine has and the language's own library does not declare.
declare class TextDecoder {
  constructor(label: 'utf-8', options: {readonly fatal: boolean; readonly ignoreBOM: boolean});
  decode(bytes: Uint8Array): string;
}
