export function vectorFunctions(): string {
  return '';
}
