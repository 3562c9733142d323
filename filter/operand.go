package filter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// condition is one compiled advanced filter.
type condition struct {
	op   *operator
	path []string

	// One of these, according to op.takes. Texts are folded and none implies
	// another: of two prefixes of one condition, say, only the shorter stays.
	texts   []string
	parts   [][]byte // texts again, for substring search
	numbers []number
	ranges  []span
	flag    bool
}

// span is a range of numbers, both ends included.
type span struct{ low, high number }

// setOperand reads the operand that the operator takes and returns how many
// values it counts for. The Target of its error is relative to the advanced
// filter.
func (c *condition) setOperand(a *Advanced) (int, *Error) {
	switch c.op.takes {
	case takesBool:
		if a.Value == nil {
			return 0, refuse("value", "value is missing; give true or false")
		}
		var flag *bool
		if json.Unmarshal(a.Value, &flag) != nil || flag == nil {
			return 0, refuse("value", "value is %s; give true or false", describe(a.Value))
		}
		c.flag = *flag
		return 1, nil
	case takesNumber:
		if a.Value == nil {
			return 0, refuse("value", "value is missing; give one number")
		}
		n, err := numberOperand("value", a.Value)
		c.numbers = []number{n}
		return 1, err
	case takesNumbers:
		return c.each(a.Values, "numbers, such as [1, 2.5]", func(target string, raw json.RawMessage) *Error {
			n, err := numberOperand(target, raw)
			c.numbers = append(c.numbers, n)
			return err
		})
	case takesRanges:
		return c.each(a.Values, "ranges, such as [[1, 5], [10, 10]]", func(target string, raw json.RawMessage) *Error {
			r, err := rangeOperand(target, raw)
			c.ranges = append(c.ranges, r)
			return err
		})
	case takesTexts:
		n, err := c.each(a.Values, `strings, such as ["a", "b"]`, func(target string, raw json.RawMessage) *Error {
			t, err := textOperand(target, raw)
			c.texts = append(c.texts, t)
			return err
		})
		c.reduceTexts()
		return n, err
	}
	return 0, nil
}

// each calls take for the items of a list that must not be empty.
func (c *condition) each(raw json.RawMessage, want string, take func(target string, raw json.RawMessage) *Error) (int, *Error) {
	if raw == nil {
		return 0, refuse("values", "values is missing; give a list of %s", want)
	}
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return 0, refuse("values", "values is %s; give a list of %s", describe(raw), want)
	}
	switch n := len(items); {
	case n == 0:
		return 0, refuse("values", "values is empty; give a list of %s", want)
	case n > MaxAdvancedValues:
		return 0, refuse("values",
			"there are %d values; the limit is %d in all advanced filters of one event subscription together. Remove values, or use several event subscriptions",
			n, MaxAdvancedValues)
	}
	for i, item := range items {
		if err := take(fmt.Sprintf("values[%d]", i), item); err != nil {
			return 0, err
		}
	}
	return len(items), nil
}

func numberOperand(target string, raw json.RawMessage) (number, *Error) {
	raw = bytes.TrimSpace(raw)
	if !json.Valid(raw) || kindOf(raw[0]) != numeric {
		return number{}, refuse(target, "%s is %s; give a number", target, describe(raw))
	}
	n := parseNumber(bytes.Clone(raw)) // The number may refer to these bytes for as long as the filter lives.
	if math.IsInf(n.float, 0) {
		return number{}, refuse(target, "%s is beyond the range of a double; give a number between -1.7e308 and 1.7e308", target)
	}
	return n, nil
}

func rangeOperand(target string, raw json.RawMessage) (span, *Error) {
	var ends []json.RawMessage
	if json.Unmarshal(raw, &ends) != nil || ends == nil {
		return span{}, refuse(target, "%s is %s; give a pair [low, high]", target, describe(raw))
	}
	if len(ends) != 2 {
		return span{}, refuse(target, "%s has %d items; give a pair [low, high]", target, len(ends))
	}
	low, err := numberOperand(target+"[0]", ends[0])
	if err != nil {
		return span{}, err
	}
	high, err := numberOperand(target+"[1]", ends[1])
	if err != nil {
		return span{}, err
	}
	if low.compare(&high) > 0 {
		return span{}, refuse(target, "%s runs from %s down to %s; put the lower end first", target, ends[0], ends[1])
	}
	return span{low, high}, nil
}

func textOperand(target string, raw json.RawMessage) (string, *Error) {
	var t *string
	if json.Unmarshal(raw, &t) != nil || t == nil {
		return "", refuse(target, "%s is %s; give a string", target, describe(raw))
	}
	switch n := utf8.RuneCountInString(*t); {
	case n == 0:
		return "", refuse(target, "%s is an empty string; give some text, or use IsNotNull or IsNullOrUndefined to ask whether the key is there", target)
	case n > MaxTextLength:
		return "", refuse(target, "%s has %d characters; the limit is %d. Shorten it", target, n, MaxTextLength)
	}
	return fold(*t), nil
}

// reduceTexts drops each text that another one of the condition implies, so
// that a scalar finds the condition at most once in a table.
func (c *condition) reduceTexts() {
	implies := func(short, long string) bool { return short == long }
	switch c.op.name {
	case StringBeginsWith, StringNotBeginsWith:
		implies = func(short, long string) bool { return strings.HasPrefix(long, short) }
	case StringEndsWith, StringNotEndsWith:
		implies = func(short, long string) bool { return strings.HasSuffix(long, short) }
	case StringContains, StringNotContains:
		implies = func(short, long string) bool { return strings.Contains(long, short) }
	}
	slices.SortFunc(c.texts, func(a, b string) int { return len(a) - len(b) })
	var kept []string
	for _, t := range c.texts {
		if !slices.ContainsFunc(kept, func(k string) bool { return implies(k, t) }) {
			kept = append(kept, t)
		}
	}
	c.texts = kept
	for _, t := range kept {
		c.parts = append(c.parts, []byte(t))
	}
}

// describe names the kind of a JSON value for a message.
func describe(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if !json.Valid(raw) {
		return "not JSON"
	}
	switch kindOf(raw[0]) {
	case text:
		return "the string " + quote(string(appendText(nil, trimQuotes(raw), false)))
	case object:
		return "an object"
	case array:
		return "a list"
	case boolean, numeric:
		return string(raw[:min(len(raw), 64)])
	}
	return "null"
}
