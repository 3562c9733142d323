package filter_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/filter"
)

const topicID = "/subscriptions/1/resourceGroups/Shop/providers/Microsoft.EventGrid/topics/Orders"

// parse returns an event as its topic stores it, ready to be filtered.
func parse(t testing.TB, r event.Request) *filter.Input {
	t.Helper()
	r.Topic = topicID
	events, err := event.Parse(r)
	if err != nil {
		t.Fatalf("%s: %v", r.Body, err)
	}
	return &filter.Input{Type: events[0].Type, Subject: events[0].Subject, JSON: events[0].JSON}
}

func gridEvent(t testing.TB, members string) *filter.Input {
	t.Helper()
	return parse(t, event.Request{
		Schema: event.EventGrid,
		Body:   []byte(`[{"id":"I-1","subject":"/Orders/7","eventType":"Order.Placed","eventTime":"2026-03-01T09:30:00Z"` + members + `}]`),
	})
}

// customEvent parses an object in whose mapping every field has a property.
func customEvent(t testing.TB, object string) *filter.Input {
	t.Helper()
	return parse(t, event.Request{
		Schema: event.Custom, Body: []byte("[" + object + "]"),
		Mapping: &event.Mapping{
			ID: event.Field{Source: "key"}, Time: event.Field{Source: "when"}, Subject: event.Field{Source: "about.path", Default: "/none"},
			Type: event.Field{Source: "kind", Default: "Order.Placed"}, DataVersion: event.Field{Source: "version", Default: "9"},
		},
	})
}

// The truth table holds for every schema: it is the same for data.v of an Event
// Grid event, of a custom event, whose data is the publisher's object, and of a
// CloudEvent, which TestTruthTable asks.
func TestTruthTableOfOtherSchemas(t *testing.T) {
	for column, v := range values {
		inputs := map[string]*filter.Input{
			"event grid": gridEvent(t, `,"data":`+v.data),
			"custom":     customEvent(t, v.data),
		}
		for schema, in := range inputs {
			for _, row := range truths {
				for arrays, marks := range map[bool]string{false: row.off, true: row.on} {
					s := filter.Spec{
						AdvancedFilters:                 []filter.Advanced{advanced(row.operator, "data.v", row.operand)},
						EnableAdvancedFilteringOnArrays: arrays,
					}
					want := marks[column] == 'y'
					if got := matchBoth(t, s, in); got != want {
						t.Errorf("%s: %s %s on %s, arrays %v: got %v, want %v", schema, row.operator, row.operand, v.name, arrays, got, want)
					}
				}
			}
		}
	}
}

// Attributes of Event Grid and custom events, under the names of all schemas.
// They are strings and never absent, for the service sets what was left out.
func TestAttributesOfOtherSchemas(t *testing.T) {
	grid := gridEvent(t, `,"dataVersion":"2.0","data":null`)
	custom := customEvent(t, `{"key":"I-1","when":"2026-03-01T09:30:00Z","about":{"path":"/Orders/7"},"kind":"Order.Placed","version":2.0}`)
	attributes := []struct {
		value string
		keys  []string
	}{
		{"I-1", []string{"id", "ID", "eventid", "EventId"}},
		{topicID, []string{"topic", "Topic", "source", "Source"}},
		{"/Orders/7", []string{"subject", "Subject"}},
		{"Order.Placed", []string{"eventType", "EventType", "eventtype", "type"}},
		{"2026-03-01T09:30:00Z", []string{"eventTime", "time"}},
		{"2.0", []string{"dataVersion", "DataVersion", "eventTypeVersion"}},
		{"1", []string{"metadataVersion"}},
	}
	// What each operator says of a string that the operand fits, and of one
	// that it does not fit. %s is the text, in another case.
	operators := []struct {
		op      filter.Operator
		operand string
		fits    bool
		other   bool
	}{
		{filter.StringIn, `["x","%s"]`, true, false},
		{filter.StringNotIn, `["x","%s"]`, false, true},
		{filter.StringBeginsWith, `["%s"]`, true, false},
		{filter.StringNotBeginsWith, `["%s"]`, false, true},
		{filter.StringEndsWith, `["%s"]`, true, false},
		{filter.StringNotEndsWith, `["%s"]`, false, true},
		{filter.StringContains, `["%s"]`, true, false},
		{filter.StringNotContains, `["%s"]`, false, true},
		{filter.NumberIn, `[1,2]`, false, false}, // numeric text is no number
		{filter.NumberNotIn, `[1,2]`, true, true},
		{filter.NumberGreaterThan, `0`, false, false},
		{filter.NumberInRange, `[[0,9]]`, false, false},
		{filter.NumberNotInRange, `[[0,9]]`, true, true},
		{filter.BoolEquals, `true`, false, false},
		{filter.IsNullOrUndefined, ``, false, false},
		{filter.IsNotNull, ``, true, true},
	}
	for schema, in := range map[string]*filter.Input{"event grid": grid, "custom": custom} {
		for _, a := range attributes {
			for _, key := range a.keys {
				for _, o := range operators {
					for text, want := range map[string]bool{a.value: o.fits, "nothing of the kind": o.other} {
						operand := o.operand
						if strings.Contains(operand, "%s") {
							operand = fmt.Sprintf(operand, strings.ToUpper(text))
						}
						s := filter.Spec{AdvancedFilters: []filter.Advanced{advanced(o.op, key, operand)}}
						if got := matchBoth(t, s, in); got != want {
							t.Errorf("%s: %s %s %s: got %v, want %v\n%s", schema, key, o.op, operand, got, want, in.JSON)
						}
					}
				}
			}
		}
	}
}

func TestOtherSchemas(t *testing.T) {
	bare := gridEvent(t, "")
	text := gridEvent(t, `,"data":"{\"v\":1}"`)
	list := gridEvent(t, `,"data":[{"v":1},"x"]`)
	custom := customEvent(t, `{"about":{"path":"/Orders/7","Path":"/other"},"kind":true,"data":{"v":"inner"},"id":5,"eventType":"of the object","n":123456789012345678901234567890}`)
	for _, c := range []struct {
		name string
		in   *filter.Input
		spec filter.Spec
		want bool
	}{
		{"no data is null", bare, filter.Spec{AdvancedFilters: []filter.Advanced{advanced(filter.IsNullOrUndefined, "data", "")}}, true},
		{"below no data", bare, filter.Spec{AdvancedFilters: []filter.Advanced{advanced(filter.StringNotIn, "data.v", `["x"]`)}}, true},
		{"no dataVersion is empty, not null", bare, filter.Spec{AdvancedFilters: []filter.Advanced{advanced(filter.IsNotNull, "dataVersion", "")}}, true},
		{"empty is not in a list", bare, filter.Spec{AdvancedFilters: []filter.Advanced{advanced(filter.StringIn, "dataVersion", `["1"]`)}}, false},
		{"there is no specversion", bare, filter.Spec{AdvancedFilters: []filter.Advanced{advanced(filter.IsNullOrUndefined, "specversion", "")}}, true},
		{"text that holds JSON", text, filter.Spec{AdvancedFilters: []filter.Advanced{advanced(filter.IsNotNull, "data.v", "")}}, false},
		{"data itself", text, filter.Spec{AdvancedFilters: []filter.Advanced{advanced(filter.StringContains, "data", `["V"]`)}}, true},
		{"below a list", list, filter.Spec{EnableAdvancedFilteringOnArrays: true, AdvancedFilters: []filter.Advanced{advanced(filter.IsNotNull, "data.v", "")}}, false},
		{"data as a list, switch on", list, filter.Spec{EnableAdvancedFilteringOnArrays: true, AdvancedFilters: []filter.Advanced{advanced(filter.StringIn, "data", `["X"]`)}}, true},
		{"data as a list, switch off", list, filter.Spec{AdvancedFilters: []filter.Advanced{advanced(filter.StringIn, "data", `["X"]`)}}, false},

		{"type of a grid event", bare, filter.Spec{IncludedEventTypes: []string{"order.PLACED"}}, true},
		{"another type", bare, filter.Spec{IncludedEventTypes: []string{"Order"}}, false},
		{"subject of a grid event", bare, filter.Spec{SubjectBeginsWith: "/orders/", SubjectEndsWith: "/7"}, true},
		{"with its case", bare, filter.Spec{SubjectBeginsWith: "/orders/", IsSubjectCaseSensitive: true}, false},

		{"mapped type", custom, filter.Spec{IncludedEventTypes: []string{"TRUE"}}, true},
		{"mapped type by key", custom, filter.Spec{AdvancedFilters: []filter.Advanced{advanced(filter.StringIn, "eventType", `["true"]`)}}, true},
		{"type of the object is data", custom, filter.Spec{AdvancedFilters: []filter.Advanced{advanced(filter.StringIn, "data.eventType", `["of the object"]`)}}, true},
		{"mapped subject", custom, filter.Spec{SubjectBeginsWith: "/orders"}, true},
		{"default version", custom, filter.Spec{AdvancedFilters: []filter.Advanced{advanced(filter.StringIn, "dataVersion", `["9"]`)}}, true},
		{"path inside the object", custom, filter.Spec{AdvancedFilters: []filter.Advanced{advanced(filter.StringIn, "data.about.path", `["/orders/7"]`)}}, true},
		{"exact name first", custom, filter.Spec{AdvancedFilters: []filter.Advanced{advanced(filter.StringIn, "data.about.Path", `["/other"]`)}}, true},
		{"the object's own data", custom, filter.Spec{AdvancedFilters: []filter.Advanced{advanced(filter.StringIn, "data.data.v", `["inner"]`)}}, true},
		{"the object's own id", custom, filter.Spec{AdvancedFilters: []filter.Advanced{advanced(filter.NumberIn, "data.id", `[5]`)}}, true},
		{"which is not the event's", custom, filter.Spec{AdvancedFilters: []filter.Advanced{advanced(filter.StringIn, "id", `["5"]`)}}, false},
		{"the object is only in data", custom, filter.Spec{AdvancedFilters: []filter.Advanced{advanced(filter.IsNotNull, "kind", "")}}, false},
		{"large integers", custom, filter.Spec{AdvancedFilters: []filter.Advanced{advanced(filter.NumberIn, "data.n", `[123456789012345678901234567890]`)}}, true},
		{"and their neighbours", custom, filter.Spec{AdvancedFilters: []filter.Advanced{advanced(filter.NumberIn, "data.n", `[123456789012345678901234567891]`)}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := matchBoth(t, c.spec, c.in); got != c.want {
				t.Errorf("got %v, want %v for %s", got, c.want, c.in.JSON)
			}
		})
	}
}
