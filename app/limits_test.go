package app

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/intertie/intertie/eventgrid"
)

func TestEveryLimitHasAName(t *testing.T) {
	var limits eventgrid.Limits
	for _, name := range LimitNames() {
		if err := SetLimit(&limits, name, 17); err != nil {
			t.Error(err)
		}
	}
	for field, v := range reflect.ValueOf(limits).Fields() {
		if v.Int() != 17 {
			t.Errorf("%s is %d", field.Name, v.Int())
		}
	}
	for _, name := range []string{"topicsPerSubscription", "ipRules", "grantDays"} {
		if !slices.Contains(LimitNames(), name) {
			t.Errorf("no %s among %v", name, LimitNames())
		}
	}
	for want, set := range map[string]func(*eventgrid.Limits) error{
		`there is no limit "IPRules"; the limits are topicsPerSubscription, `: func(l *eventgrid.Limits) error { return SetLimit(l, "IPRules", 1) },
		"ipRules is 0: it must be between 1 and 10000000":                     func(l *eventgrid.Limits) error { return SetLimit(l, "ipRules", 0) },
		"grantDays is 36501: it must be between 1 and 36500":                  func(l *eventgrid.Limits) error { return SetLimit(l, "grantDays", 36501) },
	} {
		before := limits
		if err := set(&limits); err == nil || !strings.Contains(err.Error(), want) || limits != before {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
