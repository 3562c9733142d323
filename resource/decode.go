package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
)

// DecodeMember reads one member of a request body; none, or null, leaves into
// as it is. The error is an [*Error] that says where and what does not fit.
func DecodeMember(name string, data []byte, into any) error {
	if len(data) == 0 || bytes.Equal(data, []byte("null")) {
		return nil
	}
	err := json.Unmarshal(data, into)
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	at, why := misfit(err, into)
	return Errorf(InvalidRequestContent, "Property '%s' is %s.", strings.TrimSuffix(name+"."+at, "."), why)
}

// DecodeBody is [DecodeMember] for a whole body, which must not be empty.
func DecodeBody(data []byte, into any) error {
	err := json.Unmarshal(data, into)
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	at, why := misfit(err, into)
	if at == "" {
		return BadBody("it is " + why)
	}
	return BadBody("property '" + at + "' is " + why)
}

// BadBody is the error for a request body that cannot be read.
func BadBody(why string) *Error {
	return Errorf(InvalidRequestContent, "The request content was invalid and could not be deserialized: %s.", why)
}

// misfit words an error of package encoding/json without its Go types: where it
// is, "" for all of the text, and what that is instead of what was expected.
func misfit(err error, into any) (at, why string) {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return jsonPath(reflect.TypeOf(into), e.Field), "a JSON " + e.Value + "; " + jsonName(e.Type) + " is expected"
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return "", "not valid JSON: " + e.Error()
	}
	return "", "not of the form that is expected"
}

// jsonPath takes the names of embedded structs out of a path: they are ours and
// stand in no body.
func jsonPath(t reflect.Type, path string) string {
	var shown []string
	for name := range strings.SplitSeq(path, ".") {
		t = element(t)
		if t == nil || t.Kind() != reflect.Struct {
			shown, t = append(shown, name), nil
			continue
		}
		field, ok := t.FieldByName(name)
		if ok && field.Anonymous && field.Tag.Get("json") == "" {
			t = field.Type
			continue
		}
		shown, t = append(shown, name), memberType(t, name)
	}
	return strings.Join(shown, ".")
}

// element is what a pointer, a list or a map holds.
func element(t reflect.Type) reflect.Type {
	for t != nil {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			t = t.Elem()
		default:
			return t
		}
	}
	return nil
}

// memberType is the type of a struct's member by its name in JSON; nil if it has
// none.
func memberType(t reflect.Type, name string) reflect.Type {
	for _, field := range reflect.VisibleFields(t) {
		if tagged, _, _ := strings.Cut(field.Tag.Get("json"), ","); tagged == name {
			return field.Type
		}
	}
	return nil
}

// jsonName says what a Go type is in JSON, for people who do not know ours.
func jsonName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return jsonName(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint64, reflect.Float64:
		return "a number in range"
	case reflect.Slice, reflect.Array:
		return "an array"
	default:
		return "an object"
	}
}
