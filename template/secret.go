package template

import "strings"

// shortestSecret is how long a text must be to be looked for in others: a
// shorter one would blank out half of every message, and hides nothing.
const shortestSecret = 4

const redacted = "(secure value)"

// appendTexts adds all texts in a value.
func appendTexts(dst []string, v any) []string {
	switch v := v.(type) {
	case string:
		if len(v) >= shortestSecret {
			dst = append(dst, v)
		}
	case []any:
		for _, item := range v {
			dst = appendTexts(dst, item)
		}
	case map[string]any:
		for _, k := range sortedKeys(v) {
			dst = appendTexts(dst, v[k])
		}
	}
	return dst
}

// Redact returns a message without the values of secure parameters.
func (r *Result) Redact(message string) string {
	for _, secret := range r.Secrets {
		message = strings.ReplaceAll(message, secret, redacted)
	}
	return message
}

// Known reports whether a value has no part that only the deployment itself
// brings.
func Known(v any) bool {
	switch v := v.(type) {
	case unknown:
		return false
	case []any:
		for _, item := range v {
			if !Known(item) {
				return false
			}
		}
	case map[string]any:
		for _, item := range v {
			if !Known(item) {
				return false
			}
		}
	}
	return true
}
