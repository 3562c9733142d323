package filter

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Spec is the filter of an event subscription as the management API carries
// it; ARM bodies decode straight into it. Members at their default are left
// out on encoding, except the two subject members, which Azure always returns.
//
// Nothing is checked on decoding beyond the JSON types of the plain members.
// [Compile] judges the rest, so that an error can say which filter is wrong. The
// tags say which api-versions know a member, as in package resource.
type Spec struct {
	// SubjectBeginsWith and SubjectEndsWith are plain text without wildcards.
	// Empty means no condition.
	SubjectBeginsWith string `json:"subjectBeginsWith"`
	SubjectEndsWith   string `json:"subjectEndsWith"`
	// IncludedEventTypes lists the wanted types. None, or the single item
	// "All", means every type. Types compare whole and without regard to case.
	IncludedEventTypes []string `json:"includedEventTypes,omitempty"`
	// IsSubjectCaseSensitive applies to the two subject members only.
	IsSubjectCaseSensitive bool `json:"isSubjectCaseSensitive,omitzero"`
	// EnableAdvancedFilteringOnArrays lets advanced filters look at the
	// elements of an array. Without it an array counts as an absent key.
	EnableAdvancedFilteringOnArrays bool `json:"enableAdvancedFilteringOnArrays,omitzero" known:"2021-06-01-preview.."`
	// AdvancedFilters must all hold.
	AdvancedFilters []Advanced `json:"advancedFilters,omitempty" known:"2019-06-01.."`
}

// Advanced is one advanced filter. Its operand stays the JSON that was sent
// until [Compile] judges it; integers of any size therefore survive.
type Advanced struct {
	// Operator has the canonical spelling after decoding, or, if it is none of
	// the known operators, the spelling that was sent.
	Operator Operator
	// Key names an attribute, or a path of names joined by dots.
	Key string
	// Value is the operand of operators that take one number or boolean,
	// Values that of operators that take a list. The other one is ignored.
	Value, Values json.RawMessage
}

// UnmarshalJSON reads the ARM shape {operatorType, key, value|values}.
// Operator names may be in any case.
func (a *Advanced) UnmarshalJSON(b []byte) error {
	var w struct {
		OperatorType string          `json:"operatorType"`
		Key          string          `json:"key"`
		Value        json.RawMessage `json:"value"`
		Values       json.RawMessage `json:"values"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return fmt.Errorf("decode advanced filter: %w", err)
	}
	*a = Advanced{Operator: Operator(w.OperatorType), Key: w.Key}
	if op := findOperator(a.Operator); op != nil {
		a.Operator = op.name
	}
	for _, m := range []struct {
		from json.RawMessage
		to   *json.RawMessage
	}{{w.Value, &a.Value}, {w.Values, &a.Values}} {
		if len(m.from) == 0 || m.from[0] == 'n' { // A null is a member that was not sent.
			continue
		}
		var buf bytes.Buffer
		if err := json.Compact(&buf, m.from); err != nil {
			return fmt.Errorf("decode operand of advanced filter: %w", err)
		}
		*m.to = buf.Bytes()
	}
	return nil
}

// MarshalJSON writes the ARM shape in Azure's member order, with only the
// operand that the operator takes, and numbers as doubles: 5 becomes 5.0.
// Integers that no double can hold keep all their digits.
func (a Advanced) MarshalJSON() ([]byte, error) {
	w := struct {
		Value        json.RawMessage `json:"value,omitempty"`
		Values       json.RawMessage `json:"values,omitempty"`
		OperatorType Operator        `json:"operatorType"`
		Key          string          `json:"key"`
	}{a.Value, a.Values, a.Operator, a.Key}
	if op := findOperator(a.Operator); op != nil {
		w.OperatorType = op.name
		switch op.takes {
		case takesNothing:
			w.Value, w.Values = nil, nil
		case takesBool:
			w.Values = nil
		case takesNumber:
			w.Value, w.Values = doubles(a.Value), nil
		case takesTexts:
			w.Value = nil
		case takesNumbers, takesRanges:
			w.Value, w.Values = nil, doubles(a.Values)
		}
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(w); err != nil {
		return nil, fmt.Errorf("encode advanced filter: %w", err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// doubles rewrites each number of a compact JSON value as a double.
func doubles(raw json.RawMessage) json.RawMessage {
	if !json.Valid(raw) {
		return raw // Encoding reports it.
	}
	out := make([]byte, 0, len(raw)+8)
	for i := 0; i < len(raw); {
		switch kindOf(raw[i]) {
		case numeric:
			end := skipValue(raw, i)
			out = parseNumber(raw[i:end]).appendDouble(out)
			i = end
		case text:
			end := skipString(raw, i)
			out = append(out, raw[i:end]...)
			i = end
		default:
			out = append(out, raw[i])
			i++
		}
	}
	return out
}
