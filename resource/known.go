package resource

import (
	"reflect"
	"strings"
)

// The struct tag `known:"FIRST..LAST"` says which api-versions know a member of the
// properties. Either end may be left out, and versions between them that do not
// know it follow, each with a comma and a '!': "2021-10-15-preview..,!2021-12-01".
// A member without the tag is known to all.
//
// What a client cannot name it cannot want to take away. So a member that the
// api-version of a request does not know stays as it is, unless it is sent.

// knows reports whether an api-version knows a member with such a tag.
func knows(tag, version string) bool {
	if tag == "" || version == "" {
		return true
	}
	span, but, _ := strings.Cut(tag, ",")
	first, last, _ := strings.Cut(span, "..")
	version = strings.ToLower(version)
	return version >= first && (last == "" || version <= last) && !strings.Contains(","+but+",", ",!"+version+",")
}

// Keep gives to next, a pointer to a struct, the members of old, another one of the
// same type, that the api-version does not know and next does not have, at every
// depth. It looks into structs, pointers to them, and interfaces that hold such.
func Keep(next, old any, version string) {
	keep(reflect.ValueOf(next), reflect.ValueOf(old), version)
}

func keep(next, old reflect.Value, version string) {
	switch next.Kind() {
	case reflect.Pointer, reflect.Interface:
		if next.Kind() == reflect.Pointer && next.IsNil() && !old.IsNil() && next.Type().Elem().Kind() == reflect.Struct {
			// Left out as a whole, it still has what the version does not know.
			fresh := reflect.New(next.Type().Elem())
			if keep(fresh.Elem(), old.Elem(), version); !fresh.Elem().IsZero() && next.CanSet() {
				next.Set(fresh)
			}
			return
		}
		if !next.IsNil() && !old.IsNil() && next.Elem().Type() == old.Elem().Type() {
			keep(next.Elem(), old.Elem(), version)
		}
	case reflect.Struct:
		for i := range next.NumField() {
			field := next.Type().Field(i)
			switch n, o := next.Field(i), old.Field(i); {
			case !field.IsExported():
			case !knows(field.Tag.Get("known"), version):
				if n.IsZero() && n.CanSet() {
					n.Set(o)
				}
			default:
				keep(n, o, version)
			}
		}
	}
}
