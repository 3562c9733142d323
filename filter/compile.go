package filter

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Limits of Event Grid for one event subscription.
const (
	MaxAdvancedFilters = 25  // advanced filters
	MaxAdvancedValues  = 25  // operands of all advanced filters together; a range counts as one
	MaxTextLength      = 512 // characters of one text operand
)

// Error says why a Spec is refused.
type Error struct {
	Target  string // the offending member, relative to the filter: advancedFilters[2].values[0]
	Message string // complete sentences: which filter, what is wrong, what to do
}

func (e *Error) Error() string { return e.Message }

func refuse(target, format string, args ...any) *Error {
	return &Error{Target: target, Message: fmt.Sprintf(format, args...)}
}

// Filter is a compiled Spec. It is immutable and safe for concurrent use.
// A nil *Filter matches every event.
type Filter struct {
	types          []string // folded and sorted; none: every type
	prefix, suffix string   // folded unless caseSensitive
	caseSensitive  bool
	arrays         bool
	conditions     []condition

	// alone serves Match and is made by its first call: most filters are only
	// ever matched through an Index.
	once  sync.Once
	alone *matcher
}

// Compile checks a Spec and prepares it for matching. The error is an *Error.
//
// It enforces the limits above, operands of the type that the operator takes,
// ranges in order, and keys that can be a path. Event types are not limited in
// number, as they are not in Azure; "All" must stand alone. The first name of
// a key may be anything, as CloudEvents extensions may have any name.
func Compile(spec Spec) (*Filter, error) {
	f := &Filter{
		prefix:        spec.SubjectBeginsWith,
		suffix:        spec.SubjectEndsWith,
		caseSensitive: spec.IsSubjectCaseSensitive,
		arrays:        spec.EnableAdvancedFilteringOnArrays,
	}
	if !f.caseSensitive {
		f.prefix, f.suffix = fold(f.prefix), fold(f.suffix)
	}
	var err *Error
	if f.types, err = compileTypes(spec.IncludedEventTypes); err != nil {
		return nil, err
	}
	if f.conditions, err = compileAdvanced(spec.AdvancedFilters); err != nil {
		return nil, err
	}
	return f, nil
}

func compileTypes(types []string) ([]string, *Error) {
	var folded []string
	for i, t := range types {
		target := fmt.Sprintf("includedEventTypes[%d]", i)
		switch {
		case t == "":
			return nil, refuse(target, "%s is empty. Name an event type, or leave the list out to receive every type.", target)
		case !strings.EqualFold(t, "All"):
			folded = append(folded, fold(t))
		case len(types) > 1:
			return nil, refuse(target, "%s is 'All', which cannot stand beside other types. Remove it, or leave the list out to receive every type.", target)
		}
	}
	slices.Sort(folded)
	return slices.Compact(folded), nil
}

func compileAdvanced(advanced []Advanced) ([]condition, *Error) {
	if n := len(advanced); n > MaxAdvancedFilters {
		return nil, refuse("advancedFilters",
			"There are %d advanced filters; the limit is %d for one event subscription. Combine filters on the same key, or use several event subscriptions.",
			n, MaxAdvancedFilters)
	}
	conditions, values := make([]condition, 0, len(advanced)), 0
	for i := range advanced {
		c, n, err := compileOne(i, &advanced[i])
		if err != nil {
			return nil, err
		}
		if values += n; values > MaxAdvancedValues {
			return nil, refuse(fmt.Sprintf("advancedFilters[%d]", i),
				"With advancedFilters[%d] (%s on key %s) the advanced filters have %d values; the limit is %d in all advanced filters of one event subscription together. Remove values, or use several event subscriptions.",
				i, c.op.name, quote(advanced[i].Key), values, MaxAdvancedValues)
		}
		conditions = append(conditions, c)
	}
	return conditions, nil
}

// compileOne returns the condition and how many values it counts for.
func compileOne(i int, a *Advanced) (condition, int, *Error) {
	at := fmt.Sprintf("advancedFilters[%d]", i)
	op := findOperator(a.Operator)
	switch {
	case a.Operator == "":
		return condition{}, 0, refuse(at+".operatorType", "%s has no operatorType. Use one of %s.", at, operatorNames())
	case op == nil:
		return condition{}, 0, refuse(at+".operatorType", "%s has the unknown operatorType %s. Use one of %s.", at, quote(string(a.Operator)), operatorNames())
	}
	path, err := splitKey(a.Key)
	if err != nil {
		return condition{}, 0, refuse(at+".key", "%s (%s): %s.", at, op.name, err)
	}
	c := condition{op: op, path: path}
	n, bad := c.setOperand(a)
	if bad != nil {
		return condition{}, 0, refuse(at+"."+bad.Target, "%s (%s on key %s): %s.", at, op.name, quote(a.Key), bad.Message)
	}
	return c, n, nil
}
