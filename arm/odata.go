package arm

import (
	"strings"

	"github.com/intertie/intertie/odata"
	"github.com/intertie/intertie/resource"
)

// nameGrammar is that of Event Grid's own lists.
var nameGrammar = odata.Grammar{Properties: []string{"name"}, Functions: []odata.Function{odata.Contains}}

// parseNameFilter reads the $filter of Event Grid's lists.
func parseNameFilter(text string) (func(name string) bool, error) {
	f, err := nameGrammar.Parse(text)
	if err != nil {
		return nil, resource.Invalid("The $filter '%s' is invalid: %s. Only the property 'name' with eq, ne, contains, not, and, or is supported.", text, err)
	}
	return func(name string) bool { return f.Match(func(string) (string, bool) { return name, true }) }, nil
}

// Properties of ARM's own lists.
const (
	filterName     = "name"
	filterGroup    = "resourceGroup"
	filterLocation = "location"
	filterType     = "resourceType"
	filterTagName  = "tagName"
	filterTagValue = "tagValue"
)

// resourceGrammar is that of the lists of resources and of groups.
var resourceGrammar = odata.Grammar{
	Properties: []string{filterName, filterGroup, filterLocation, filterType, filterTagName, filterTagValue},
	Functions:  []odata.Function{odata.StartsWith, odata.SubstringOf, odata.Contains},
}

// parseResourceFilter reads the $filter of the lists of resources and of groups.
//
// Conditions on tagName and tagValue speak of one tag: a resource passes when it
// has a tag with which the whole filter holds.
func parseResourceFilter(text string) (func(*resource.Resource) bool, error) {
	f, err := resourceGrammar.Parse(text)
	if err != nil {
		return nil, resource.Errorf(resource.InvalidFilter, "The $filter '%s' is invalid: %s. The properties are %s; the operators eq, ne, startswith, substringof, not, and, or.",
			text, err, strings.Join(resourceGrammar.Properties, ", "))
	}
	ofTags := f.Uses(filterTagName, filterTagValue)
	return func(r *resource.Resource) bool {
		if !ofTags || len(r.Tags) == 0 {
			return f.Match(filterValues(r, "", "", false))
		}
		for name, value := range r.Tags {
			if f.Match(filterValues(r, name, value, true)) {
				return true
			}
		}
		return false
	}, nil
}

func filterValues(r *resource.Resource, tag, value string, tagged bool) odata.Values {
	return func(property string) (string, bool) {
		switch property {
		case filterName:
			return r.ID.Name(), true
		case filterGroup:
			return r.ID.Group, r.ID.Group != ""
		case filterLocation:
			return r.Location, r.Location != ""
		case filterType:
			return r.Type, true
		case filterTagName:
			return tag, tagged
		default:
			return value, tagged
		}
	}
}
