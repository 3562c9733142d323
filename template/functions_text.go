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
	"unicode/utf8"

	"github.com/google/uuid"
)

var textFunctions = map[string]function{
	"concat":         {1, -1, concat},
	"format":         {1, -1, format},
	"tolower":        ofText(func(s string) (any, error) { return strings.ToLower(s), nil }),
	"toupper":        ofText(func(s string) (any, error) { return strings.ToUpper(s), nil }),
	"trim":           ofText(func(s string) (any, error) { return strings.TrimSpace(s), nil }),
	"startswith":     ofTexts(func(a, b string) any { return strings.HasPrefix(strings.ToLower(a), strings.ToLower(b)) }),
	"endswith":       ofTexts(func(a, b string) any { return strings.HasSuffix(strings.ToLower(a), strings.ToLower(b)) }),
	"base64":         ofText(func(s string) (any, error) { return base64.StdEncoding.EncodeToString([]byte(s)), nil }),
	"base64tostring": ofText(fromBase64),
	"base64tojson": ofText(func(s string) (any, error) {
		v, err := fromBase64(s)
		if err != nil {
			return nil, err
		}
		return Decode([]byte(v.(string)))
	}),
	"datauri": ofText(func(s string) (any, error) {
		return "data:text/plain;charset=utf8;base64," + base64.StdEncoding.EncodeToString([]byte(s)), nil
	}),
	"datauritostring": ofText(func(s string) (any, error) {
		_, data, ok := strings.Cut(s, ";base64,")
		if !ok {
			return nil, errors.New("it is not a data URI in base64")
		}
		return fromBase64(data)
	}),
	"uricomponent":         ofText(func(s string) (any, error) { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), nil }),
	"uricomponenttostring": ofText(func(s string) (any, error) { return url.PathUnescape(s) }),
	"uri":                  {2, 2, joinURI},
	"replace":              {3, 3, replaceText},
	"split":                {2, 2, split},
	"join":                 {2, 2, join},
	"substring":            {2, 3, substring},
	"padleft":              {2, 3, padLeft},
	"indexof":              {2, 2, indexOf(strings.Index, false)},
	"lastindexof":          {2, 2, indexOf(strings.LastIndex, true)},
	"string":               {1, 1, func(args []any) (any, error) { return textOf(args[0]), nil }},
	"json":                 ofText(func(s string) (any, error) { return Decode([]byte(s)) }),
	// The values are stable; Azure's are others, as its algorithm is not public.
	"uniquestring": {1, -1, func(args []any) (any, error) {
		text, err := joined(args, "-")
		sum := sha256.Sum256([]byte(text))
		return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:13], err
	}},
	"guid": {1, -1, func(args []any) (any, error) {
		text, err := joined(args, "-")
		return uuid.NewSHA1(guidNamespace, []byte(text)).String(), err
	}},
	"fail": ofText(func(s string) (any, error) { return nil, errors.New(s) }),
}

// longestText bounds what one function makes, in bytes: it is as much as a whole
// deployment may make, and must be refused before it is there.
const longestText = mostSteps * bytesPerStep

// fits refuses a text of n bytes that would be too long.
func fits(n int) error {
	if n > longestText {
		return fmt.Errorf("it would make a string of %d bytes; at most %d are possible", n, longestText)
	}
	return nil
}

// guidNamespace is the namespace of the function guid.
var guidNamespace = uuid.MustParse("11fb06fb-712d-4ddd-98c7-e71bbd588830")

func joined(args []any, by string) (string, error) {
	parts, size := make([]string, len(args)), 0
	for i, a := range args {
		parts[i] = textOf(a)
		if size += len(parts[i]) + len(by); size > longestText {
			return "", fits(size)
		}
	}
	return strings.Join(parts, by), nil
}

// concat joins texts, or arrays when the first argument is one.
func concat(args []any) (any, error) {
	if _, ok := args[0].([]any); ok {
		all := []any{}
		for _, arg := range args {
			a, err := wantArray(arg)
			if err != nil {
				return nil, err
			}
			if len(all)+len(a) > mostSteps {
				return nil, fmt.Errorf("it would make an array of more than %d elements", mostSteps)
			}
			all = append(all, a...)
		}
		return all, nil
	}
	for _, arg := range args {
		switch arg.(type) {
		case []any, map[string]any:
			return nil, fmt.Errorf("a string is expected, not %s", typeName(arg))
		}
	}
	return joined(args, "")
}

// format replaces {0}, {1:000} and so on; of .NET's number formats it knows
// those made of zeros, D and X.
func format(args []any) (any, error) {
	pattern, err := wantText(args[0])
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		if (c == '{' || c == '}') && i+1 < len(pattern) && pattern[i+1] == c {
			b.WriteByte(c)
			i++
			continue
		}
		if c != '{' {
			b.WriteByte(c)
			continue
		}
		end := strings.IndexByte(pattern[i:], '}')
		if end < 0 {
			return nil, errors.New("a '{' in the pattern has no '}'")
		}
		index, how, _ := strings.Cut(pattern[i+1:i+end], ":")
		n, err := strconv.Atoi(strings.TrimSpace(index))
		if err != nil || n < 0 || n+1 >= len(args) {
			return nil, fmt.Errorf("the pattern asks for the argument {%s}; there are %d", index, len(args)-1)
		}
		text, err := formatted(args[n+1], how)
		if err != nil {
			return nil, err
		}
		if err := fits(b.Len() + len(text)); err != nil {
			return nil, err
		}
		b.WriteString(text)
		i += end
	}
	return b.String(), nil
}

func formatted(v any, how string) (string, error) {
	n, ok := v.(int64)
	if how == "" || !ok {
		return textOf(v), nil
	}
	if strings.Trim(how, "0") == "" {
		return fmt.Sprintf("%0*d", len(how), n), nil
	}
	width, err := strconv.Atoi(how[1:])
	if len(how) == 1 {
		width, err = 0, nil
	}
	if err != nil || width < 0 || width > 99 {
		return "", fmt.Errorf("the number format '%s' is not offered", how)
	}
	switch how[0] {
	case 'D', 'd':
		return fmt.Sprintf("%0*d", width, n), nil
	case 'X':
		return fmt.Sprintf("%0*X", width, n), nil
	case 'x':
		return fmt.Sprintf("%0*x", width, n), nil
	}
	return "", fmt.Errorf("the number format '%s' is not offered", how)
}

func fromBase64(s string) (any, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || !utf8.Valid(b) {
		return nil, errors.New("it is not text in base64")
	}
	return string(b), nil
}

func joinURI(args []any) (any, error) {
	base, err := wantText(args[0])
	if err != nil {
		return nil, err
	}
	relative, err := wantText(args[1])
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("'%s' is not a URI", base)
	}
	r, err := url.Parse(relative)
	if err != nil {
		return nil, fmt.Errorf("'%s' is not a URI", relative)
	}
	return u.ResolveReference(r).String(), nil
}

func replaceText(args []any) (any, error) {
	var s [3]string
	for i := range s {
		var err error
		if s[i], err = wantText(args[i]); err != nil {
			return nil, err
		}
	}
	if s[1] == "" {
		return nil, errors.New("the text to be replaced is empty")
	}
	if err := fits(len(s[0]) + strings.Count(s[0], s[1])*(len(s[2])-len(s[1]))); err != nil {
		return nil, err
	}
	return strings.ReplaceAll(s[0], s[1], s[2]), nil
}

func split(args []any) (any, error) {
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
		var next []string
		for _, p := range parts {
			next = append(next, strings.Split(p, by)...)
		}
		parts = next
	}
	out := make([]any, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return out, nil
}

func join(args []any) (any, error) {
	a, err := wantArray(args[0])
	if err != nil {
		return nil, err
	}
	by, err := wantText(args[1])
	if err != nil {
		return nil, err
	}
	return joined(a, by)
}

func substring(args []any) (any, error) {
	s, err := wantText(args[0])
	if err != nil {
		return nil, err
	}
	r := []rune(s)
	start, err := wantInt(args[1])
	if err != nil {
		return nil, err
	}
	length := int64(len(r)) - start
	if len(args) == 3 {
		if length, err = wantInt(args[2]); err != nil {
			return nil, err
		}
	}
	if start < 0 || length < 0 || start > int64(len(r)) || length > int64(len(r))-start {
		return nil, fmt.Errorf("%d characters from %d on are asked for; the string has %d", length, start, len(r))
	}
	return string(r[start : start+length]), nil
}

// longestPad bounds what padLeft makes.
const longestPad = 64 << 10

func padLeft(args []any) (any, error) {
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
	s := textOf(args[0])
	return strings.Repeat(pad, max(0, int(width)-utf8.RuneCountInString(s))) + s, nil
}

// indexOf finds a text in another, without regard to case, or a value in an
// array.
func indexOf(find func(s, what string) int, last bool) func([]any) (any, error) {
	return func(args []any) (any, error) {
		if a, ok := args[0].([]any); ok {
			at := int64(-1)
			for i := range a {
				if equal(a[i], args[1]) {
					if at = int64(i); !last {
						break
					}
				}
			}
			return at, nil
		}
		s, err := wantText(args[0])
		if err != nil {
			return nil, err
		}
		what, err := wantText(args[1])
		if err != nil {
			return nil, err
		}
		s, what = strings.ToLower(s), strings.ToLower(what)
		i := find(s, what)
		if i > 0 {
			i = utf8.RuneCountInString(s[:i])
		}
		return int64(i), nil
	}
}
