package template

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/uuid"
)

var textFunctions = map[string]function{
	"concat":     {1, -1, concat},
	"format":     {1, -1, format},
	"tolower":    toText(2, func(s string) (string, error) { return strings.ToLower(s), nil }),
	"toupper":    toText(2, func(s string) (string, error) { return strings.ToUpper(s), nil }),
	"trim":       ofText(func(_ *budget, s string) (any, error) { return strings.TrimSpace(s), nil }),
	"startswith": ofTexts(func(a, b string) any { return strings.HasPrefix(strings.ToLower(a), strings.ToLower(b)) }),
	"endswith":   ofTexts(func(a, b string) any { return strings.HasSuffix(strings.ToLower(a), strings.ToLower(b)) }),
	"base64": toText(2, func(s string) (string, error) {
		return base64.StdEncoding.EncodeToString([]byte(s)), nil
	}),
	"base64tostring": toText(1, fromBase64),
	"base64tojson": ofText(func(b *budget, s string) (any, error) {
		if err := b.allot(len(s)); err != nil {
			return nil, err
		}
		text, err := fromBase64(s)
		if err != nil {
			return nil, err
		}
		return b.decode(text)
	}),
	"datauri": toText(6, func(s string) (string, error) {
		return "data:text/plain;charset=utf8;base64," + base64.StdEncoding.EncodeToString([]byte(s)), nil
	}),
	"datauritostring": toText(1, func(s string) (string, error) {
		_, data, ok := strings.Cut(s, ";base64,")
		if !ok {
			return "", errors.New("it is not a data URI in base64")
		}
		return fromBase64(data)
	}),
	"uricomponent": toText(4, func(s string) (string, error) {
		return strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), nil
	}),
	"uricomponenttostring": toText(1, fromURIComponent),
	"uri":                  {2, 2, joinURI},
	"replace":              {3, 3, replaceText},
	"split":                {2, 2, split},
	"join":                 {2, 2, join},
	"substring":            {2, 3, substring},
	"padleft":              {2, 3, padLeft},
	"indexof":              {2, 2, indexOf(strings.Index, false)},
	"lastindexof":          {2, 2, indexOf(strings.LastIndex, true)},
	"string":               {1, 1, func(b *budget, args []any) (any, error) { return b.text(args[0]) }},
	"json":                 ofText(func(b *budget, s string) (any, error) { return b.decode(s) }),
	// The values are stable; Azure's are others, as its algorithm is not public.
	"uniquestring": {1, -1, func(b *budget, args []any) (any, error) {
		text, err := b.joined(args, "-")
		sum := sha256.Sum256([]byte(text))
		return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:13], err
	}},
	"guid": {1, -1, func(b *budget, args []any) (any, error) {
		text, err := b.joined(args, "-")
		return uuid.NewSHA1(guidNamespace, []byte(text)).String(), err
	}},
	"fail": ofText(func(_ *budget, s string) (any, error) { return nil, errors.New(s) }),
}

// guidNamespace is the namespace of the function guid.
var guidNamespace = uuid.MustParse("11fb06fb-712d-4ddd-98c7-e71bbd588830")

// joined renders values as texts and joins them.
func (b *budget) joined(args []any, by string) (string, error) {
	if err := b.array(len(args)); err != nil {
		return "", err
	}
	parts, size := make([]string, len(args)), 0
	for i, a := range args {
		var err error
		if parts[i], err = b.text(a); err != nil {
			return "", err
		}
		size += len(parts[i]) + len(by)
	}
	// Joined, and read once more by what hashes it.
	if err := b.allot(2 * size); err != nil {
		return "", err
	}
	return strings.Join(parts, by), nil
}

// concat joins texts, or arrays when the first argument is one.
func concat(b *budget, args []any) (any, error) {
	if _, ok := args[0].([]any); ok {
		return concatArrays(b, args)
	}
	for _, arg := range args {
		switch arg.(type) {
		case []any, map[string]any:
			return nil, fmt.Errorf("a string is expected, not %s", typeName(arg))
		}
	}
	return b.joined(args, "")
}

func concatArrays(b *budget, args []any) (any, error) {
	if err := b.spend(len(args)); err != nil {
		return nil, err
	}
	size := 0
	for _, arg := range args {
		a, err := wantArray(arg)
		if err != nil {
			return nil, err
		}
		size += len(a)
	}
	if err := b.array(size); err != nil {
		return nil, err
	}
	all := make([]any, 0, size)
	for _, arg := range args {
		a, _ := arg.([]any)
		all = append(all, a...)
	}
	return all, nil
}

// format replaces {0}, {1,-5}, {2:000} and so on; of .NET's number formats it
// knows those made of zeros, D and X.
func format(b *budget, args []any) (any, error) {
	pattern, err := wantText(args[0])
	if err != nil {
		return nil, err
	}
	if err := b.allot(2 * len(pattern)); err != nil {
		return nil, err
	}
	var out strings.Builder
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		if (c == '{' || c == '}') && i+1 < len(pattern) && pattern[i+1] == c {
			out.WriteByte(c)
			i++
			continue
		}
		if c != '{' {
			out.WriteByte(c)
			continue
		}
		end := strings.IndexByte(pattern[i:], '}')
		if end < 0 {
			return nil, errors.New("a '{' in the pattern has no '}'")
		}
		index, how, _ := strings.Cut(pattern[i+1:i+end], ":")
		index, width, aligned := strings.Cut(index, ",")
		n, err := strconv.Atoi(strings.TrimSpace(index))
		if err != nil || n < 0 || n+1 >= len(args) {
			return nil, fmt.Errorf("the pattern asks for the argument {%s}; there are %d", cut(index), len(args)-1)
		}
		text, err := b.formatted(args[n+1], how)
		if err != nil {
			return nil, err
		}
		if aligned {
			if text, err = b.align(text, width); err != nil {
				return nil, err
			}
		}
		if err := b.allot(2 * len(text)); err != nil {
			return nil, err
		}
		out.WriteString(text)
		i += end
	}
	return out.String(), nil
}

// mostAligned bounds the width to which format aligns, as in .NET.
const mostAligned = 999_999

// align fills text with blanks to a width: in front, or behind it when the width
// is negative. Characters count as .NET counts them, in UTF-16.
func (b *budget) align(text, width string) (string, error) {
	n, err := strconv.Atoi(strings.TrimSpace(width))
	if err != nil || max(n, -n) > mostAligned {
		return "", fmt.Errorf("the pattern aligns to '%s'; a whole number between -%d and %d is expected", cut(width), mostAligned, mostAligned)
	}
	missing := max(n, -n)
	for _, r := range text {
		missing -= utf16.RuneLen(r)
	}
	if missing <= 0 {
		return text, nil
	}
	if err := b.allot(missing); err != nil {
		return "", err
	}
	blanks := strings.Repeat(" ", missing)
	if n < 0 {
		return text + blanks, nil
	}
	return blanks + text, nil
}

// mostDigits bounds the width of a formatted number.
const mostDigits = 99

func (b *budget) formatted(v any, how string) (string, error) {
	n, ok := v.(int64)
	if how == "" || !ok {
		return b.text(v)
	}
	if len(how) <= mostDigits && strings.Trim(how, "0") == "" {
		return fmt.Sprintf("%0*d", len(how), n), nil
	}
	width, err := strconv.Atoi(how[1:])
	if len(how) == 1 {
		width, err = 0, nil
	}
	if err != nil || width < 0 || width > mostDigits {
		return "", fmt.Errorf("the number format '%s' is not offered", cut(how))
	}
	switch how[0] {
	case 'D', 'd':
		return fmt.Sprintf("%0*d", width, n), nil
	case 'X':
		return fmt.Sprintf("%0*X", width, n), nil
	case 'x':
		return fmt.Sprintf("%0*x", width, n), nil
	}
	return "", fmt.Errorf("the number format '%s' is not offered", cut(how))
}

func fromBase64(s string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || !utf8.Valid(b) {
		return "", errors.New("it is not text in base64")
	}
	return string(b), nil
}

func fromURIComponent(s string) (string, error) {
	text, err := url.PathUnescape(s)
	if err != nil || !utf8.ValidString(text) {
		return "", errors.New("it is not text of a URI")
	}
	return text, nil
}

// longestURI bounds both arguments of uri.
const longestURI = 64 << 10

func joinURI(b *budget, args []any) (any, error) {
	texts, err := wantTexts(args)
	if err != nil {
		return nil, err
	}
	parsed := make([]*url.URL, len(texts))
	for i, text := range texts {
		if len(text) > longestURI {
			return nil, fmt.Errorf("a URI has at most %d characters", longestURI)
		}
		// Escaping takes up to three bytes for one, and resolving copies.
		if err := b.allot(8 * len(text)); err != nil {
			return nil, err
		}
		if parsed[i], err = url.Parse(text); err != nil {
			return nil, fmt.Errorf("%s is not a URI", quoted(text))
		}
	}
	return parsed[0].ResolveReference(parsed[1]).String(), nil
}

func replaceText(b *budget, args []any) (any, error) {
	s, err := wantTexts(args)
	if err != nil {
		return nil, err
	}
	if s[1] == "" {
		return nil, errors.New("the text to be replaced is empty")
	}
	if err := b.allot(len(s[0]) + strings.Count(s[0], s[1])*(len(s[2])-len(s[1]))); err != nil {
		return nil, err
	}
	return strings.ReplaceAll(s[0], s[1], s[2]), nil
}

func split(b *budget, args []any) (any, error) {
	s, err := wantText(args[0])
	if err != nil {
		return nil, err
	}
	separators, ok := args[1].([]any)
	if !ok {
		separators = []any{args[1]}
	}
	parts := []string{s}
	for _, sep := range separators {
		by, err := wantText(sep)
		if err != nil {
			return nil, err
		}
		if by == "" {
			continue // as .NET: nothing to split at
		}
		if parts, err = b.splitAll(parts, len(s), by); err != nil {
			return nil, err
		}
	}
	if err := b.array(2 * len(parts)); err != nil {
		return nil, err
	}
	out := make([]any, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return out, nil
}

// splitAll splits each of some texts, which have a size together.
func (b *budget) splitAll(texts []string, size int, by string) ([]string, error) {
	if err := b.spend(size / bytesPerStep); err != nil {
		return nil, err
	}
	n := len(texts)
	for _, t := range texts {
		n += strings.Count(t, by)
	}
	if err := b.array(2 * n); err != nil {
		return nil, err
	}
	out := make([]string, 0, n)
	for _, t := range texts {
		out = append(out, strings.Split(t, by)...)
	}
	return out, nil
}

func join(b *budget, args []any) (any, error) {
	a, err := wantArray(args[0])
	if err != nil {
		return nil, err
	}
	by, err := wantText(args[1])
	if err != nil {
		return nil, err
	}
	return b.joined(a, by)
}

func substring(_ *budget, args []any) (any, error) {
	s, err := wantText(args[0])
	if err != nil {
		return nil, err
	}
	size := int64(utf8.RuneCountInString(s))
	start, err := wantInt(args[1])
	if err != nil {
		return nil, err
	}
	length := int64(-1)
	if start >= 0 && start <= size {
		length = size - start
	}
	if len(args) == 3 {
		if length, err = wantInt(args[2]); err != nil {
			return nil, err
		}
	}
	if start < 0 || length < 0 || start > size || length > size-start {
		return nil, fmt.Errorf("%d characters from %d on are asked for; the string has %d", length, start, size)
	}
	s = s[offset(s, start):]
	return s[:offset(s, length)], nil
}

// longestPad bounds what padLeft makes.
const longestPad = 64 << 10

func padLeft(b *budget, args []any) (any, error) {
	width, err := wantInt(args[1])
	if err != nil {
		return nil, err
	}
	pad := " "
	if len(args) == 3 {
		if pad, err = wantText(args[2]); err != nil {
			return nil, err
		}
	}
	if utf8.RuneCountInString(pad) != 1 || width > longestPad {
		return nil, errors.New("it pads with one character to a moderate length")
	}
	s, err := b.text(args[0])
	if err != nil {
		return nil, err
	}
	missing := max(0, int(width)-utf8.RuneCountInString(s))
	if err := b.allot(missing*len(pad) + len(s)); err != nil {
		return nil, err
	}
	return strings.Repeat(pad, missing) + s, nil
}

// indexOf finds a text in another, without regard to case, or a value in an
// array.
func indexOf(find func(s, what string) int, last bool) func(*budget, []any) (any, error) {
	return func(b *budget, args []any) (any, error) {
		if a, ok := args[0].([]any); ok {
			return b.position(a, args[1], last)
		}
		texts, err := wantTexts(args)
		if err != nil {
			return nil, err
		}
		if err := b.allot(2 * (len(texts[0]) + len(texts[1]))); err != nil {
			return nil, err
		}
		s, what := strings.ToLower(texts[0]), strings.ToLower(texts[1])
		i := find(s, what)
		if i > 0 {
			i = utf8.RuneCountInString(s[:i])
		}
		return int64(i), nil
	}
}
