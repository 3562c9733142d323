package app

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"

	"github.com/intertie/intertie/eventgrid"
)

// Bounds of what limits can be set to: more than a server can hold, and days that
// still fit into a duration.
const (
	highestLimit = 10_000_000
	longestDays  = 36_500
)

// LimitNames returns the names by which [SetLimit] knows the limits.
func LimitNames() []string {
	var names []string
	for field := range reflect.TypeFor[eventgrid.Limits]().Fields() {
		names = append(names, limitName(field.Name))
	}
	return names
}

// SetLimit sets the limit of a name, such as topicsPerSubscription.
func SetLimit(limits *eventgrid.Limits, name string, value int) error {
	v := reflect.ValueOf(limits).Elem()
	for field := range v.Type().Fields() {
		if limitName(field.Name) != name {
			continue
		}
		highest := highestLimit
		if strings.HasSuffix(name, "Days") {
			highest = longestDays
		}
		if value < 1 || value > highest {
			return fmt.Errorf("%s is %d: it must be between 1 and %d", name, value, highest)
		}
		v.FieldByIndex(field.Index).SetInt(int64(value))
		return nil
	}
	return fmt.Errorf("there is no limit %q; the limits are %s", name, strings.Join(LimitNames(), ", "))
}

// limitName turns IPRules into ipRules.
func limitName(field string) string {
	runes := []rune(field)
	for i := range runes {
		if i > 0 && (!unicode.IsUpper(runes[i]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			break
		}
		runes[i] = unicode.ToLower(runes[i])
	}
	return string(runes)
}
