package demo

import (
	"encoding/json"
	"fmt"
	"time"
)

// The names of the story. Groups, namespaces and channels must be 3 to 50
// letters, digits and hyphens.
const (
	partnerName = "northwave"
	region      = "westeurope"
	group       = "rg-events"
	typePlaced  = "Northwave.Order.Placed"
	typeReturn  = "Northwave.Order.Returned"
	largeOrder  = 500.0
)

// A customer has one channel, and a webhook for each kind of event it cares
// for. The filters of one customer leave no order out and overlap nowhere, so
// each published event has exactly one place to arrive at.
type customer struct {
	name  string
	boxes []mailbox
}

// A mailbox is one webhook: the filter as the customer writes it into the
// event subscription, and the same rule in Go to check the outcome against.
type mailbox struct {
	name   string
	rule   string
	filter map[string]any
	wants  func(order) bool
}

func customers() []customer {
	total := func(operator string) map[string]any {
		return map[string]any{"advancedFilters": []any{
			map[string]any{"operatorType": operator, "key": "data.total", "value": largeOrder},
		}}
	}
	return []customer{
		{name: "contoso", boxes: []mailbox{
			{
				name: "sales", rule: "type is Order.Placed",
				filter: map[string]any{"includedEventTypes": []string{typePlaced}},
				wants:  func(o order) bool { return o.kind == typePlaced },
			},
			{
				name: "service", rule: "type is Order.Returned",
				filter: map[string]any{"includedEventTypes": []string{typeReturn}},
				wants:  func(o order) bool { return o.kind == typeReturn },
			},
		}},
		{name: "fabrikam", boxes: []mailbox{
			{
				name: "large", rule: "data.total is 500 or more",
				filter: total("NumberGreaterThanOrEquals"),
				wants:  func(o order) bool { return o.total >= largeOrder },
			},
			{
				name: "small", rule: "data.total is below 500",
				filter: total("NumberLessThan"),
				wants:  func(o order) bool { return o.total < largeOrder },
			},
		}},
	}
}

// An order is what the partner publishes.
type order struct {
	number int
	kind   string
	total  float64
}

// orderNumber n of the stream. The sequence is fixed, so that two runs of the
// demo tell the same story; totals wander over 5 … 995 in steps of 10.
func orderNumber(n int) order {
	o := order{number: 1001 + n, kind: typePlaced, total: float64(5 + 10*(n*37%100))}
	if n%4 == 3 {
		o.kind = typeReturn
	}
	return o
}

func (o order) id() string { return fmt.Sprintf("order-%d", o.number) }

// event is the order as a structured CloudEvent.
func (o order) event(c customer, now time.Time) []byte {
	body, err := json.Marshal(struct {
		SpecVersion string    `json:"specversion"`
		ID          string    `json:"id"`
		Source      string    `json:"source"`
		Type        string    `json:"type"`
		Subject     string    `json:"subject"`
		Time        time.Time `json:"time"`
		Data        any       `json:"data"`
	}{
		"1.0", o.id(), sourceOf(c), o.kind, fmt.Sprintf("orders/%d", o.number), now.UTC(),
		struct {
			Total    float64 `json:"total"`
			Currency string  `json:"currency"`
		}{o.total, "EUR"},
	})
	if err != nil {
		panic(err) // strings and numbers: cannot happen
	}
	return body
}

func sourceOf(c customer) string  { return "/northwave/accounts/" + c.name }
func channelOf(c customer) string { return c.name + "-orders" }
