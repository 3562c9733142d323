package resource

import (
	"fmt"
	"reflect"
	"strings"
)

// How a member of a properties struct may be set, written as the struct tag
// `arm:"…"`. A member without a tag is set by PUT alone; of a struct or a
// pointer to one, the members carry the tags.
const (
	computed = "computed" // the service's own: what a client sends is ignored
	fixed    = "create"   // set when created; a different value later is refused
	patched  = "patch"    // set by PUT and PATCH
)

// settle enforces the tags after next was decoded: computed members are taken
// from old (nil when created), fixed ones must not have changed, and a PATCH
// keeps its hands off what it cannot set. path is the JSON path so far.
func settle(next, old reflect.Value, patch bool, path string) error {
	t := next.Type()
	for i := range t.NumField() {
		field := t.Field(i)
		var before reflect.Value
		if old.IsValid() {
			before = old.Field(i)
		}
		if err := settleField(next.Field(i), before, field, patch, path); err != nil {
			return err
		}
	}
	return nil
}

func settleField(next, old reflect.Value, field reflect.StructField, patch bool, path string) error {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	name = strings.TrimPrefix(path+"."+name, ".")
	if field.Anonymous && field.Tag.Get("json") == "" {
		name = path // its members stand among those around it
	}
	switch mode := field.Tag.Get("arm"); {
	case mode == computed:
		restore(next, old)
	case mode == fixed:
		if !old.IsValid() {
			return nil
		}
		// Left out means unchanged, so that a client may send only what it knows.
		if next.IsZero() {
			restore(next, old)
		} else if !sameValue(next, old) {
			return Invalid("Property '%s' cannot be changed after creation: it is %s; delete the resource and create it anew to use %s.",
				name, quoted(old), quoted(next))
		} else {
			restore(next, old) // keeps the casing of creation
		}
	case mode == patched:
	case field.Type.Kind() == reflect.Struct && hasTags(field.Type):
		return settle(next, old, patch, name)
	case field.Type.Kind() == reflect.Pointer && field.Type.Elem().Kind() == reflect.Struct && hasTags(field.Type.Elem()):
		if next.IsNil() {
			restore(next, old)
			return nil
		}
		var before reflect.Value
		if old.IsValid() && !old.IsNil() {
			before = old.Elem()
		}
		return settle(next.Elem(), before, patch, name)
	default:
		if patch {
			restore(next, old)
		}
	}
	return nil
}

// hasTags reports whether a struct declares how its members may be set; one
// that does not is set as a whole.
func hasTags(t reflect.Type) bool {
	for field := range t.Fields() {
		if field.Tag.Get("arm") != "" {
			return true
		}
	}
	return false
}

func restore(next, old reflect.Value) {
	if old.IsValid() {
		next.Set(old)
	} else {
		next.SetZero()
	}
}

func sameValue(a, b reflect.Value) bool {
	if a.Kind() == reflect.String {
		return strings.EqualFold(a.String(), b.String())
	}
	if at, ok := reflect.TypeAssert[*Time](a); ok {
		bt, _ := reflect.TypeAssert[*Time](b)
		return at != nil && bt != nil && at.Same(*bt)
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func quoted(v reflect.Value) string {
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	return fmt.Sprintf("'%v'", v.Interface())
}
