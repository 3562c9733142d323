package template

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

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

// mostSecrets bounds the texts of secure parameters: each message of a deployment
// is searched for all of them.
const mostSecrets = 1000

// hide adds texts to those that must not be shown.
func (r *Result) hide(secrets []string) error {
	have := make(map[string]bool, len(r.Secrets))
	for _, s := range r.Secrets {
		have[s] = true
	}
	for _, s := range secrets {
		switch {
		case have[s]:
			continue
		case len(r.Secrets) == mostSecrets:
			return &Error{Message: fmt.Sprintf("The secure parameters hold more than %d texts.", mostSecrets)}
		}
		have[s] = true
		r.Secrets = append(r.Secrets, s)
	}
	return nil
}

// Redact returns a message without the values of secure parameters.
func (r *Result) Redact(message string) string {
	if len(r.Secrets) == 0 {
		return message
	}
	if r.redactor == nil || r.redacts != len(r.Secrets) {
		// The longest first: it may hold others.
		longest := slices.SortedFunc(slices.Values(r.Secrets), func(a, b string) int { return cmp.Compare(len(b), len(a)) })
		var pairs []string
		for _, secret := range longest {
			pairs = append(pairs, secret, redacted)
		}
		r.redactor, r.redacts = strings.NewReplacer(pairs...), len(r.Secrets)
	}
	return r.redactor.Replace(message)
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
