package eventgrid

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Operation is one entry of the catalogue of operations. Its name is what roles
// allow.
type Operation struct {
	Name    string           `json:"name"`
	Display OperationDisplay `json:"display"`
	Origin  string           `json:"origin"`
	// IsDataAction is set for what is done with events and not with resources.
	IsDataAction bool `json:"isDataAction"`
	Properties   any  `json:"properties"` // always null
}

// OperationDisplay says for people what an operation does.
type OperationDisplay struct {
	Provider    string `json:"provider"`
	Resource    string `json:"resource"`
	Operation   string `json:"operation"`
	Description string `json:"description"`
}

// dataActions are all there are.
var dataActions = []string{"events/send/action", "events/receive/action", "topicSpaces/publish/action", "topicSpaces/subscribe/action"}

// furtherOperations are those that belong to no kind: of the provider, of lists
// that look at several kinds, and of what is the same for everyone.
var furtherOperations = []string{
	"register/action", "unregister/action", "operations/read", "topicTypes/read", "topicTypes/eventTypes/read", "eventTypes/read",
	"extensionTopics/read", "locations/eventSubscriptions/read", "topicTypes/eventSubscriptions/read",
	"locations/topicTypes/eventSubscriptions/read", "locations/operationsStatus/read", "locations/operationResults/read",
	"locations/usages/read",
}

// Operations returns the catalogue of operations, sorted by name. It follows from
// the kinds: a new one is in it by itself.
func (r *Rules) Operations() []Operation {
	names := make(map[string]bool)
	var subscription []string // of the actions on any event subscription
	add := func(typ string, rest ...string) {
		for _, name := range rest {
			names[typ+"/"+name] = true
		}
	}
	for _, k := range r.Kinds() {
		add(k.Type, "read", "write", "delete")
		for _, a := range k.Actions {
			add(k.Type, a.Name+"/action")
			if k.Type == TypeTopicEventSubscription {
				subscription = append(subscription, a.Name+"/action")
			}
		}
	}
	add(TypeEventSubscription, "read", "write", "delete")
	add(TypeEventSubscription, subscription...)
	for _, d := range AllDerived() {
		add(d.Type, "read")
		for _, a := range d.Actions {
			add(d.Type, a+"/action")
		}
	}
	for _, p := range privateParents {
		add(p.parent, "PrivateEndpointConnectionsApproval/action")
	}
	add(Namespace, furtherOperations...)
	add(Namespace, dataActions...)
	all := make([]Operation, 0, len(names))
	for _, name := range slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		return cmp.Or(strings.Compare(strings.ToLower(a), strings.ToLower(b)), strings.Compare(a, b))
	}) {
		all = append(all, operation(name))
	}
	return all
}

// operation makes the entry of one name; its texts are made of the name.
func operation(name string) Operation {
	rest := strings.TrimPrefix(name, Namespace+"/")
	segments := strings.Split(rest, "/")
	verb := segments[len(segments)-1]
	segments = segments[:len(segments)-1]
	if verb == "action" {
		verb = segments[len(segments)-1]
		segments = segments[:len(segments)-1]
	}
	what := words(segments)
	d := OperationDisplay{Provider: "Microsoft Event Grid", Resource: capital(what)}
	switch verb {
	case "read":
		d.Operation, d.Description = "Read "+what, "Reads one "+what+" or lists several"
	case "write":
		d.Operation, d.Description = "Write "+what, "Creates or updates one "+what
	case "delete":
		d.Operation, d.Description = "Delete "+what, "Deletes one "+what
	default:
		action := strings.ToLower(spaced(verb))
		joint := " of "
		if !strings.Contains(action, " ") {
			joint = " "
		}
		if what == "" { // on the provider itself
			what, d.Resource = "provider", "Provider"
		}
		d.Operation = capital(action) + joint + what
		d.Description = "Performs the action " + verb + " on one " + what
	}
	return Operation{Name: name, Display: d, Origin: "UserAndSystem", IsDataAction: slices.Contains(dataActions, rest)}
}

// words turns partnerTopics/eventSubscriptions into partner topic event
// subscription.
func words(segments []string) string {
	all := make([]string, len(segments))
	for i, s := range segments {
		all[i] = strings.ToLower(spaced(s))
		if !strings.HasSuffix(all[i], "ss") && !strings.HasSuffix(all[i], "status") {
			all[i] = strings.TrimSuffix(all[i], "s")
		}
	}
	return strings.Join(all, " ")
}

func capital(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
