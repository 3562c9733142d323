package eventgrid

import (
	"strings"
	"unicode"

	"github.com/intertie/intertie/resource"
)

// TopicType describes one kind of source of events: what its resources are and
// which events they raise. The catalogue stands in topictypes.go.
type TopicType struct {
	// Name is written with dots, such as Microsoft.Storage.StorageAccounts.
	Name string
	// Source is the type of the resources that raise the events.
	Source                   string
	DisplayName, Description string
	// Global is set where sources belong to no region.
	Global bool
	// Scopes are the levels at which sources can be: of Resource, ResourceGroup,
	// AzureSubscription and ManagementGroup.
	Scopes []string
	Events []EventType
}

// EventType is one type of event of a [TopicType].
type EventType struct {
	Name, DisplayName, Description string
	// InDefaultSet is set where a subscription gets the type without asking.
	InDefaultSet bool
}

// Provider returns the resource provider of the sources.
func (t *TopicType) Provider() string {
	ns, _, _ := strings.Cut(t.Source, "/")
	return ns
}

// SourceFormat returns the template of the ids of sources.
func (t *TopicType) SourceFormat() string {
	switch t.Source {
	case resource.TypeSubscription:
		return "/subscriptions/{subscriptionId}"
	case resource.TypeGroup:
		return "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroup}"
	default:
		return "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroup}/providers/" + t.Source + "/{name}"
	}
}

// defaultSet returns the event types that a subscription gets without asking.
func (t *TopicType) defaultSet() []string {
	var names []string
	for _, e := range t.Events {
		if e.InDefaultSet {
			names = append(names, e.Name)
		}
	}
	return names
}

// TopicTypes returns the catalogue of topic types.
func TopicTypes() []TopicType {
	all := make([]TopicType, len(topicTypes))
	for i, t := range topicTypes {
		all[i] = *t
	}
	return all
}

// topicTypeNamed returns nil for a name that is not in the catalogue.
func topicTypeNamed(name string) *TopicType {
	for _, t := range topicTypes {
		if equalFold(t.Name, name) {
			return t
		}
	}
	return nil
}

// topicTypeOfSource returns the topic type that subscriptions on a resource are
// about, nil when it raises no events. Of several it is the first.
func topicTypeOfSource(source resource.ID) *TopicType {
	typ := source.Type()
	for _, t := range topicTypes {
		if equalFold(t.Source, typ) {
			return t
		}
	}
	return nil
}

// events reads lines of "Name: description", where a name that begins with a star
// is not in the default set.
func events(prefix, lines string) []EventType {
	var all []EventType
	for line := range strings.Lines(strings.TrimSpace(lines)) {
		name, description, _ := strings.Cut(strings.TrimSpace(line), ": ")
		short, optional := strings.CutPrefix(name, "*")
		all = append(all, EventType{
			Name: prefix + "." + short, DisplayName: spaced(short), Description: description, InDefaultSet: !optional,
		})
	}
	return all
}

// spaced turns BlobCreated into Blob Created.
func spaced(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, c := range runes {
		if i > 0 && unicode.IsUpper(c) && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}
