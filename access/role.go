package access

import (
	"slices"
	"strings"
)

// Permission is one set of rights. Patterns may hold wildcards; see
// [Authorizer] for their meaning.
type Permission struct {
	Actions, NotActions         []string // management operations
	DataActions, NotDataActions []string // operations on the data itself, such as publishing
}

// Role is a named set of permissions that can be assigned at a scope.
type Role struct {
	ID               string // GUID
	Name             string
	Description      string
	Permissions      []Permission
	Custom           bool     // defined by a user; built-in roles cannot be changed
	AssignableScopes []string // where it may be assigned: there and below
}

// AssignableAt reports whether the role may be assigned at scope: at one of its
// assignable scopes or below.
func (r Role) AssignableAt(scope string) bool {
	return slices.ContainsFunc(r.AssignableScopes, func(s string) bool { return ScopeWithin(scope, s) })
}

// ScopeWithin reports whether scope is outer or lies below it, by whole segments
// of the path and in any letter case. An empty scope lies nowhere.
func ScopeWithin(scope, outer string) bool {
	a, ok := scopeKey(scope)
	b, ok2 := scopeKey(outer)
	if !ok || !ok2 {
		return false
	}
	return b == "/" || a == b || strings.HasPrefix(a, b+"/")
}

// Types of principals that roles are assigned to.
const (
	PrincipalUser    = "User"
	PrincipalGroup   = "Group"
	PrincipalProgram = "ServicePrincipal"
)

// The built-in roles, by the GUIDs they have in Azure.
const (
	RoleOwner                        = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
	RoleContributor                  = "b24988ac-6180-42a0-ab88-20f7382dd24c"
	RoleReader                       = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
	RoleUserAccessAdministrator      = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"
	RoleEventGridContributor         = "1e241071-0855-49ea-94dc-649edcd759de"
	RoleEventSubscriptionContributor = "428e0ff0-5e57-4d9c-a221-2c70d0e0a443"
	RoleEventSubscriptionReader      = "2414bbcf-6497-4faf-8c65-045460748405"
	RoleEventGridDataSender          = "d5a91429-5739-47e2-a06b-3470a27159e7"
	RoleEventGridDataReceiver        = "78cbd9e7-9798-4e2e-9b5a-547d9ebb31fb"
	RoleEventGridDataContributor     = "1d8c3fe3-8864-474b-8749-01e3783e8157"
	RoleTopicSpacesPublisher         = "a12b0b94-b317-4dcd-84a8-502ce99884c6"
	RoleTopicSpacesSubscriber        = "4b0f2fd7-60b4-4eca-896f-4435034f8bf5"
	RoleSystemTopicsSubscriber       = "0b962ed2-6d56-471c-bd5f-3477d83a7ba4"
	RoleNotificationsSubscriber      = "dc0882cc-bc27-4d21-9ea2-f821aaa10fb1"
)

// The data actions that the publish and receive paths ask for.
const (
	ActionSendEvents    = "Microsoft.EventGrid/events/send/action"
	ActionReceiveEvents = "Microsoft.EventGrid/events/receive/action"
)

// The actions that guard the directory of service principals. They are asked
// for at the root scope: whoever can make principals or give them secrets acts
// for the whole installation.
const (
	ActionReadPrincipals  = "Intertie.Directory/servicePrincipals/read"
	ActionWritePrincipals = "Intertie.Directory/servicePrincipals/write"
)

const (
	readAuthorization = "Microsoft.Authorization/*/read"
	readGroups        = "Microsoft.Resources/subscriptions/resourceGroups/read"
	deployments       = "Microsoft.Resources/deployments/*"
	alertRules        = "Microsoft.Insights/alertRules/*"
	support           = "Microsoft.Support/*"
)

// eventSubscriptionLists are the reads behind the lists of event subscriptions
// across a subscription or group.
var eventSubscriptionLists = []string{
	"Microsoft.EventGrid/topicTypes/eventSubscriptions/read",
	"Microsoft.EventGrid/locations/eventSubscriptions/read",
	"Microsoft.EventGrid/locations/topicTypes/eventSubscriptions/read",
}

// sourceReads let a data role find what it may publish to or receive from.
var sourceReads = []string{
	readAuthorization,
	"Microsoft.EventGrid/topics/read",
	"Microsoft.EventGrid/domains/read",
	"Microsoft.EventGrid/partnerNamespaces/read",
	"Microsoft.EventGrid/namespaces/read",
	readGroups,
}

var builtInRoles = []Role{
	{
		ID: RoleOwner, Name: "Owner",
		Description: "Full access to all resources, including the right to give access to others.",
		Permissions: []Permission{{Actions: []string{"*"}}},
	},
	{
		ID: RoleContributor, Name: "Contributor",
		Description: "Manages all resources, but cannot give access to others.",
		Permissions: []Permission{{
			Actions: []string{"*"},
			NotActions: []string{
				"Microsoft.Authorization/*/Delete",
				"Microsoft.Authorization/*/Write",
				"Microsoft.Authorization/elevateAccess/Action",
				"Microsoft.Blueprint/blueprintAssignments/write",
				"Microsoft.Blueprint/blueprintAssignments/delete",
				"Microsoft.Compute/galleries/share/action",
				"Microsoft.Purview/consents/write",
				"Microsoft.Purview/consents/delete",
				// Azure keeps its directory out of reach of resource roles. Ours is
				// behind an action, so "*" has to leave it out: a secret added to an
				// Owner's principal would be access given to oneself.
				"Intertie.Directory/*/write",
			},
		}},
	},
	{
		ID: RoleReader, Name: "Reader",
		Description: "Views all resources, changes nothing and sees no secrets.",
		Permissions: []Permission{{Actions: []string{"*/read"}}},
	},
	{
		ID: RoleUserAccessAdministrator, Name: "User Access Administrator",
		Description: "Manages who has access to resources.",
		Permissions: []Permission{{Actions: []string{"*/read", "Microsoft.Authorization/*", support}}},
	},
	{
		ID: RoleEventGridContributor, Name: "EventGrid Contributor",
		Description: "Manages Event Grid resources.",
		Permissions: []Permission{{Actions: []string{
			readAuthorization, "Microsoft.EventGrid/*", alertRules, deployments, readGroups, support,
		}}},
	},
	{
		ID: RoleEventSubscriptionContributor, Name: "EventGrid EventSubscription Contributor",
		Description: "Manages event subscriptions.",
		Permissions: []Permission{{Actions: join(
			[]string{readAuthorization, "Microsoft.EventGrid/eventSubscriptions/*"},
			eventSubscriptionLists,
			[]string{alertRules, deployments, readGroups, support},
		)}},
	},
	{
		ID: RoleEventSubscriptionReader, Name: "EventGrid EventSubscription Reader",
		Description: "Views event subscriptions.",
		Permissions: []Permission{{Actions: join(
			[]string{readAuthorization, "Microsoft.EventGrid/eventSubscriptions/read"},
			eventSubscriptionLists,
			[]string{readGroups},
		)}},
	},
	{
		ID: RoleEventGridDataSender, Name: "EventGrid Data Sender",
		Description: "Sends events to Event Grid topics, domains and partner namespaces.",
		Permissions: []Permission{{Actions: sourceReads, DataActions: []string{ActionSendEvents}}},
	},
	{
		ID: RoleEventGridDataReceiver, Name: "EventGrid Data Receiver",
		Description: "Receives events from Event Grid namespace topics.",
		Permissions: []Permission{{Actions: sourceReads, DataActions: []string{ActionReceiveEvents}}},
	},
	{
		ID: RoleEventGridDataContributor, Name: "EventGrid Data Contributor",
		Description: "Sends and receives events.",
		Permissions: []Permission{{
			Actions:     join(sourceReads, []string{"Microsoft.EventGrid/eventSubscriptions/read"}, eventSubscriptionLists),
			DataActions: []string{ActionSendEvents, ActionReceiveEvents},
		}},
	},
	{
		ID: RoleTopicSpacesPublisher, Name: "EventGrid TopicSpaces Publisher",
		Description: "Publishes messages on topic spaces.",
		Permissions: []Permission{{
			Actions:     sourceReads,
			DataActions: []string{"Microsoft.EventGrid/topicSpaces/publish/action"},
		}},
	},
	{
		ID: RoleTopicSpacesSubscriber, Name: "EventGrid TopicSpaces Subscriber",
		Description: "Subscribes to messages on topic spaces.",
		Permissions: []Permission{{
			Actions:     sourceReads,
			DataActions: []string{"Microsoft.EventGrid/topicSpaces/subscribe/action"},
		}},
	},
	{
		ID: RoleSystemTopicsSubscriber, Name: "Azure Resource Notifications System Topics Subscriber",
		Description: "Creates system topics of Azure Resource Notifications and subscribes to them.",
		Permissions: []Permission{{Actions: []string{
			"Microsoft.EventGrid/systemTopics/read",
			"Microsoft.EventGrid/systemTopics/write",
			"Microsoft.EventGrid/systemTopics/delete",
			"Microsoft.EventGrid/systemTopics/eventSubscriptions/*",
			readGroups,
		}}},
	},
	{
		// A marker that a service holds, not a set of rights.
		ID: RoleNotificationsSubscriber, Name: "Azure Resource Notifications Event Grid Subscriber",
		Description: "Held by the notification service itself. Grants nothing.",
	},
}

// BuiltInRoles returns the built-in roles. The caller may change the result.
func BuiltInRoles() []Role {
	out := make([]Role, len(builtInRoles))
	for i, r := range builtInRoles {
		out[i] = r.clone()
		out[i].AssignableScopes = []string{"/"}
	}
	return out
}

// BuiltInRole finds a built-in role by its GUID or by an ARM id that ends in
// it, in any case.
func BuiltInRole(id string) (Role, bool) {
	want := roleKey(id)
	for _, r := range BuiltInRoles() {
		if r.ID == want {
			return r, true
		}
	}
	return Role{}, false
}

// roleKey reduces a role's GUID or ARM id to the form roles are indexed by.
func roleKey(id string) string {
	id = strings.TrimRight(id, "/")
	return strings.ToLower(id[strings.LastIndexByte(id, '/')+1:])
}

func (r Role) clone() Role {
	perms := make([]Permission, len(r.Permissions))
	for i, p := range r.Permissions {
		perms[i] = Permission{
			Actions: join(p.Actions), NotActions: join(p.NotActions),
			DataActions: join(p.DataActions), NotDataActions: join(p.NotDataActions),
		}
	}
	r.Permissions = perms
	r.AssignableScopes = join(r.AssignableScopes)
	return r
}

// join returns a new slice, nil when there is nothing in it.
func join(lists ...[]string) []string {
	var out []string
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}
