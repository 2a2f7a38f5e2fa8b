// Package userfile reads and writes the files that a user names: archives, lock
// files, plans, descriptions of machines, files with credentials.
//
// Such a name may be anything that a file system has. What is written goes into
// what is no regular file (a device, a FIFO, a terminal) as it is, follows
// symbolic links, and takes the place of a regular file or of nothing in one
// step. What is read is bounded. Nothing waits longer than its context.
package userfile
