package template

import (
	"errors"
	"fmt"
	"strings"
)

// Value is a parameter or an output as a deployment shows it.
type Value struct {
	Type string `json:"type"`
	// Value is left out for secure types.
	Value any `json:"value,omitempty"`
}

// bind sets the parameters of a deployment: what was given, else the defaults.
// given is in the form of a parameter file: {"name": {"value": …}}.
func (s *scope) bind(given map[string]any) error {
	t := s.template
	definitions := t.root.get("parameters")
	for _, name := range sortedKeys(given) {
		if definitions.get(name) == nil {
			return &Error{Message: fmt.Sprintf("The parameter '%s' was given; the template does not have it. It has: %s.", cut(name), strings.Join(names(definitions), ", "))}
		}
	}
	if definitions == nil {
		return nil
	}
	for _, f := range definitions.fields {
		path := t.at("parameters." + cut(f.name))
		v, err := s.parameter(f, given, path)
		if err != nil {
			return err
		}
		s.parameters[strings.ToLower(f.name)] = v
		if err := s.check(f.value, v); err != nil {
			return &Error{Path: path, Line: f.line, Message: fmt.Sprintf("The value of the parameter '%s' is not valid: %s.", f.name, err)}
		}
	}
	return nil
}

func names(n *node) []string {
	var out []string
	if n != nil {
		for _, f := range n.fields {
			out = append(out, f.name)
		}
	}
	return out
}

func (s *scope) parameter(f field, given map[string]any, path string) (any, error) {
	if entry, ok := member(given, f.name); ok {
		wrapped, ok := entry.(map[string]any)
		if !ok {
			return nil, &Error{Path: path, Line: f.line, Message: fmt.Sprintf("The parameter '%s' must be given as {\"value\": …}.", f.name)}
		}
		if v, ok := member(wrapped, "value"); ok {
			_, err := s.budget.measure(v)
			return v, at(err, path, f.line)
		}
		if _, ok := member(wrapped, "reference"); ok {
			return nil, &Error{Path: path, Line: f.line, Message: fmt.Sprintf("The parameter '%s' refers to a key vault, which this server does not reach; give its value.", f.name)}
		}
		return nil, &Error{Path: path, Line: f.line, Message: fmt.Sprintf("The parameter '%s' must be given as {\"value\": …}.", f.name)}
	}
	if d := f.value.get("defaultValue"); d != nil {
		return s.value(d, path+".defaultValue")
	}
	if n := f.value.get("nullable"); n != nil && n.truth {
		return nil, nil
	}
	return nil, &Error{Path: path, Line: f.line, Message: fmt.Sprintf("The parameter '%s' has no default and was not given.", f.name)}
}

// check compares a value with the definition of its parameter.
func (s *scope) check(definition *node, v any) error {
	if n := definition.get("nullable"); v == nil && n != nil && n.truth {
		return nil
	}
	typ := s.template.typeOf(definition)
	if err := checkType(typ, v); err != nil {
		return err
	}
	if allowed := definition.get("allowedValues"); allowed != nil {
		if err := s.checkAllowed(allowed, v); err != nil {
			if secure(typ) { // it would show the value
				return errors.New("it is none of the allowed values")
			}
			return err
		}
	}
	for _, bound := range []struct {
		name    string
		size    func(any) (int64, error)
		breaks  func(size, bound int64) bool
		message string
	}{
		{"minValue", wantInt, func(s, b int64) bool { return s < b }, "it is %d; the least is %d"},
		{"maxValue", wantInt, func(s, b int64) bool { return s > b }, "it is %d; the most is %d"},
		{"minLength", length, func(s, b int64) bool { return s < b }, "its length is %d; the least is %d"},
		{"maxLength", length, func(s, b int64) bool { return s > b }, "its length is %d; the most is %d"},
	} {
		n := definition.get(bound.name)
		if n == nil || n.kind != number {
			continue
		}
		limit, ok := numberValue(n.text).(int64)
		if !ok {
			continue
		}
		size, err := bound.size(v)
		if err != nil {
			return err
		}
		if bound.breaks(size, limit) {
			return fmt.Errorf(bound.message, size, limit)
		}
	}
	return nil
}

func (s *scope) checkAllowed(definition *node, v any) error {
	values, err := s.value(definition, "")
	if err != nil {
		return err
	}
	allowed, _ := values.([]any)
	in, err := s.budget.setOf(allowed)
	if err != nil {
		return err
	}
	if has, err := in.has(v); has || err != nil {
		return err
	}
	list, ok := v.([]any) // each element must be one of them
	for _, e := range list {
		has, err := in.has(e)
		if err != nil {
			return err
		}
		ok = ok && has
	}
	if ok {
		return nil
	}
	shown := make([]string, min(len(allowed), mostNames))
	for i := range shown {
		shown[i] = quoted(allowed[i])
	}
	return fmt.Errorf("%s is not one of %s", quoted(v), strings.Join(shown, ", "))
}

func checkType(typ string, v any) error {
	want := ""
	switch strings.ToLower(typ) {
	case "string", "securestring":
		if _, ok := v.(string); !ok {
			want = "a string"
		}
	case "int":
		if _, ok := v.(int64); !ok {
			want = "a whole number"
		}
	case "bool":
		if _, ok := v.(bool); !ok {
			want = "true or false"
		}
	case "array":
		if _, ok := v.([]any); !ok {
			want = "an array"
		}
	case "object", "secureobject":
		if _, ok := v.(map[string]any); !ok {
			want = "an object"
		}
	case "":
		return nil // a definition by reference: any
	default:
		return fmt.Errorf("its type '%s' is none of string, int, bool, array, object, securestring, secureObject", typ)
	}
	if _, ok := v.(unknown); ok || want == "" {
		return nil
	}
	return fmt.Errorf("%s is expected, not %s", want, typeName(v))
}

// typeOf returns the type of a parameter or output; one that refers to a
// definition has that one's.
func (t *Template) typeOf(definition *node) string {
	for range maxDepth {
		ref, ok := strings.CutPrefix(definition.literal("$ref"), "#/definitions/")
		if !ok {
			break
		}
		next := t.root.get("definitions").get(ref)
		if next == nil {
			break
		}
		definition = next
	}
	return definition.literal("type")
}

// shownTypes are the types as Azure spells them in its answers.
var shownTypes = []string{"String", "SecureString", "Int", "Bool", "Array", "Object", "SecureObject"}

func secure(typ string) bool { return strings.HasPrefix(strings.ToLower(typ), "secure") }

// shown returns a value as a deployment shows it.
func shown(typ string, v any) Value {
	for _, t := range shownTypes {
		if strings.EqualFold(t, typ) {
			typ = t
		}
	}
	if typ == "" {
		typ = typeShown(v)
	}
	if secure(typ) {
		return Value{Type: typ}
	}
	return Value{Type: typ, Value: v}
}

func typeShown(v any) string {
	switch v.(type) {
	case string:
		return "String"
	case bool:
		return "Bool"
	case int64:
		return "Int"
	case []any:
		return "Array"
	default:
		return "Object"
	}
}
