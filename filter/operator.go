package filter

import (
	"bytes"
	"slices"
	"strings"
)

// Operator is the operatorType of an advanced filter.
type Operator string

// The operators of Event Grid.
const (
	NumberIn                  Operator = "NumberIn"
	NumberNotIn               Operator = "NumberNotIn"
	NumberLessThan            Operator = "NumberLessThan"
	NumberLessThanOrEquals    Operator = "NumberLessThanOrEquals"
	NumberGreaterThan         Operator = "NumberGreaterThan"
	NumberGreaterThanOrEquals Operator = "NumberGreaterThanOrEquals"
	NumberInRange             Operator = "NumberInRange"
	NumberNotInRange          Operator = "NumberNotInRange"
	BoolEquals                Operator = "BoolEquals"
	StringIn                  Operator = "StringIn"
	StringNotIn               Operator = "StringNotIn"
	StringBeginsWith          Operator = "StringBeginsWith"
	StringNotBeginsWith       Operator = "StringNotBeginsWith"
	StringEndsWith            Operator = "StringEndsWith"
	StringNotEndsWith         Operator = "StringNotEndsWith"
	StringContains            Operator = "StringContains"
	StringNotContains         Operator = "StringNotContains"
	IsNullOrUndefined         Operator = "IsNullOrUndefined"
	IsNotNull                 Operator = "IsNotNull"
)

// operand says what an operator takes.
type operand uint8

const (
	takesNothing operand = iota
	takesBool            // value: true or false
	takesNumber          // value: a number
	takesNumbers         // values: numbers
	takesRanges          // values: pairs of numbers
	takesTexts           // values: strings
)

// reach says by which table of an [Index] a condition can be found. Each
// promises: an event that meets the condition is found there.
type reach uint8

const (
	byNothing  reach = iota // also met by an absent key
	byPresence              // met only when the key is there
	byBool
	byText
	byTextStart
	byTextEnd
	byNumber
	byInterval
)

// operator is one row of the truth table.
//
// test is asked about one present value that is not null and answers false for
// a value of another type; a negative operator holds when test does not.
type operator struct {
	name     Operator
	takes    operand
	negative bool
	absent   bool // what holds when the key is absent or null
	whole    bool // looks at the key, never at the elements of an array
	reach    reach
	test     func(c *condition, s *scratch, v *value) bool
}

// operators is read only.
var operators = [...]operator{
	{name: NumberIn, takes: takesNumbers, reach: byNumber, test: numberIn},
	{name: NumberNotIn, takes: takesNumbers, negative: true, absent: true, test: numberIn},
	{name: NumberLessThan, takes: takesNumber, reach: byInterval, test: numberLess},
	{name: NumberLessThanOrEquals, takes: takesNumber, reach: byInterval, test: numberLessOrEqual},
	{name: NumberGreaterThan, takes: takesNumber, reach: byInterval, test: numberGreater},
	{name: NumberGreaterThanOrEquals, takes: takesNumber, reach: byInterval, test: numberGreaterOrEqual},
	{name: NumberInRange, takes: takesRanges, reach: byInterval, test: numberInRange},
	{name: NumberNotInRange, takes: takesRanges, negative: true, absent: true, test: numberInRange},
	{name: BoolEquals, takes: takesBool, reach: byBool, test: boolEquals},
	{name: StringIn, takes: takesTexts, reach: byText, test: textIn},
	{name: StringNotIn, takes: takesTexts, negative: true, absent: true, test: textIn},
	{name: StringBeginsWith, takes: takesTexts, reach: byTextStart, test: textBeginsWith},
	{name: StringNotBeginsWith, takes: takesTexts, negative: true, reach: byPresence, test: textBeginsWith},
	{name: StringEndsWith, takes: takesTexts, reach: byTextEnd, test: textEndsWith},
	{name: StringNotEndsWith, takes: takesTexts, negative: true, reach: byPresence, test: textEndsWith},
	{name: StringContains, takes: takesTexts, reach: byPresence, test: textContains},
	{name: StringNotContains, takes: takesTexts, negative: true, reach: byPresence, test: textContains},
	{name: IsNullOrUndefined, negative: true, absent: true, whole: true, test: isPresent},
	{name: IsNotNull, whole: true, reach: byPresence, test: isPresent},
}

// findOperator returns the row of an operator spelled in any case, or nil.
func findOperator(name Operator) *operator {
	for i := range operators {
		if strings.EqualFold(string(operators[i].name), string(name)) {
			return &operators[i]
		}
	}
	return nil
}

// operatorNames lists all operators for an error message.
func operatorNames() string {
	var names []string
	for i := range operators {
		names = append(names, string(operators[i].name))
	}
	return strings.Join(names, ", ")
}

func isPresent(*condition, *scratch, *value) bool { return true }

func boolEquals(c *condition, _ *scratch, v *value) bool {
	return v.kind == boolean && v.isTrue() == c.flag
}

func numberIn(c *condition, _ *scratch, v *value) bool {
	if v.kind != numeric {
		return false
	}
	n := v.number()
	for i := range c.numbers {
		if n.compare(&c.numbers[i]) == 0 {
			return true
		}
	}
	return false
}

func numberLess(c *condition, _ *scratch, v *value) bool {
	return v.kind == numeric && v.number().compare(&c.numbers[0]) < 0
}

func numberLessOrEqual(c *condition, _ *scratch, v *value) bool {
	return v.kind == numeric && v.number().compare(&c.numbers[0]) <= 0
}

func numberGreater(c *condition, _ *scratch, v *value) bool {
	return v.kind == numeric && v.number().compare(&c.numbers[0]) > 0
}

func numberGreaterOrEqual(c *condition, _ *scratch, v *value) bool {
	return v.kind == numeric && v.number().compare(&c.numbers[0]) >= 0
}

func numberInRange(c *condition, _ *scratch, v *value) bool {
	if v.kind != numeric {
		return false
	}
	n := v.number()
	for i := range c.ranges {
		if n.compare(&c.ranges[i].low) >= 0 && n.compare(&c.ranges[i].high) <= 0 {
			return true
		}
	}
	return false
}

func textIn(c *condition, s *scratch, v *value) bool {
	t, ok := s.text(v)
	if !ok {
		return false
	}
	return slices.ContainsFunc(c.texts, func(want string) bool { return want == string(t) }) // comparing does not copy
}

func textBeginsWith(c *condition, s *scratch, v *value) bool {
	t, ok := s.text(v)
	if !ok {
		return false
	}
	for _, want := range c.texts {
		if hasPrefix(t, want) {
			return true
		}
	}
	return false
}

func textEndsWith(c *condition, s *scratch, v *value) bool {
	t, ok := s.text(v)
	if !ok {
		return false
	}
	for _, want := range c.texts {
		if hasSuffix(t, want) {
			return true
		}
	}
	return false
}

func textContains(c *condition, s *scratch, v *value) bool {
	t, ok := s.text(v)
	if !ok {
		return false
	}
	for _, want := range c.parts {
		if bytes.Contains(t, want) {
			return true
		}
	}
	return false
}

func hasPrefix(b []byte, p string) bool { return len(b) >= len(p) && string(b[:len(p)]) == p }

func hasSuffix(b []byte, p string) bool { return len(b) >= len(p) && string(b[len(b)-len(p):]) == p }
