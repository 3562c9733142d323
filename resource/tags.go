package resource

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of tags, as Azure has them; lengths in characters.
const (
	MaxTags         = 50
	MaxTagNameLen   = 512
	MaxTagValueLen  = 256
	tagNameReserved = `<>%&\?/`
)

// CheckTags refuses tags beyond the limits. Names are the same in any case, so
// two that differ in nothing else are one too many.
func CheckTags(tags map[string]string) error {
	if len(tags) > MaxTags {
		return Invalid("There are %d tags; a resource may have at most %d.", len(tags), MaxTags)
	}
	seen := make(map[string]string, len(tags))
	for name, value := range tags {
		if err := CheckTagName(name); err != nil {
			return err
		}
		if err := CheckTagValue(name, value); err != nil {
			return err
		}
		key := strings.ToLower(name)
		if other, twice := seen[key]; twice {
			names := []string{other, name}
			slices.Sort(names)
			return Invalid("The tag names '%s' and '%s' are the same: case does not tell them apart.", names[0], names[1])
		}
		seen[key] = name
	}
	return nil
}

// CheckTagName refuses what cannot be the name of a tag.
func CheckTagName(name string) error {
	switch n := utf8.RuneCountInString(name); {
	case strings.TrimSpace(name) == "":
		return Invalid("The name of a tag must not be empty.")
	case n > MaxTagNameLen:
		return Invalid("The tag name '%.40s…' has %d characters; at most %d are allowed.", name, n, MaxTagNameLen)
	case strings.ContainsAny(name, tagNameReserved) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == utf8.RuneError }):
		return Invalid("The tag name '%s' has one of the reserved characters %s, or a control character.", name, tagNameReserved)
	}
	return nil
}

// CheckTagValue refuses what cannot be the value of the tag.
func CheckTagValue(name, value string) error {
	if n := utf8.RuneCountInString(value); n > MaxTagValueLen {
		return Invalid("The value of the tag '%s' has %d characters; at most %d are allowed.", name, n, MaxTagValueLen)
	}
	return nil
}
