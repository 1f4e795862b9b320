"""The project before go-live: activities, people, and the critical path under uncertainty."""
