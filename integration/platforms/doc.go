// Package platforms tries the built mpull on images whose platform is told badly,
// in part or not at all, as public reports have them: configs and indexes without
// an architecture, in other spellings, with artifacts, versions of Windows and
// entries that are not there; and local manifest lists.
package platforms
