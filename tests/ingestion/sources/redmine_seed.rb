# Fills a new Redmine: roles, people, groups, projects, issues, wiki pages and files. Prints nothing.
require 'json'
require 'stringio'

ActiveRecord::Migration.verbose = false
Dir.chdir(Rails.root) { ActiveRecord::Tasks::DatabaseTasks.migrate }
ActiveRecord::Base.connection.schema_cache.clear!
ActiveRecord::Base.descendants.each(&:reset_column_information)

ActiveJob::Base.queue_adapter = :inline
Setting.rest_api_enabled = '1'
Setting.text_formatting = 'common_mark'
Setting.bcc_recipients = '1' if Setting.respond_to?(:bcc_recipients=)
Setting.notified_events = []
admin = User.find_by_login('admin')
admin.must_change_passwd = false
admin.mail = ENV.fetch('REDMINE_ADMIN_MAIL')
admin.save!(validate: false)
User.current = admin

status = IssueStatus.create!(name: 'New')
IssuePriority.create!(name: 'Normal', is_default: true)
trackers = %w[Bug Task Größe].map { |name| Tracker.create!(name: name, default_status: status) }

def create_role(name, visibility, permissions, trackers = nil)
  role = Role.new(name: name, issues_visibility: visibility, permissions: permissions)
  if trackers
    role.permissions_all_trackers = { 'view_issues' => '0' }
    role.permissions_tracker_ids = { 'view_issues' => trackers.map { |one| one.id.to_s } }
  end
  role.save!
  role
end

all = %i[view_issues add_issues edit_issues view_wiki_pages view_files view_private_notes]
roles = [
  create_role('Manager', 'all', all),
  create_role('Developer', 'default', %i[view_issues add_issues view_wiki_pages view_files]),
  create_role('Reporter', 'own', %i[view_issues add_issues]),
  create_role('Reader', 'default', %i[view_wiki_pages]),
  create_role('Tester', 'default', %i[view_issues view_files], trackers.first(1)),
  create_role('Auditor', 'all', %i[view_issues], trackers.first(2)),
]
Role.non_member.update!(permissions: %i[view_issues view_wiki_pages], issues_visibility: 'default')
Role.anonymous.update!(permissions: %i[view_wiki_pages])

people = JSON.parse(ENV.fetch('REDMINE_PEOPLE')).map do |login, mail|
  user = User.new(firstname: login.capitalize, lastname: 'Q', mail: mail, language: 'en')
  user.login = login
  user.password = 'of the redmine'
  user.save!
  user
end
groups = %w[Staff Board].map { |name| Group.create!(lastname: name) }
people.first(5).each { |user| groups[0].users << user }
people[3..5].each { |user| groups[1].users << user }

modules = %w[issue_tracking wiki files]
projects = (0..8).map do |number|
  Project.create!(
    name: "Project #{number}", identifier: "p#{number}", is_public: number.even? && number < 8, trackers: trackers,
    enabled_module_names: number == 6 ? %w[wiki] : modules
  )
end
projects[3].set_parent!(projects[1])
projects[3].update!(inherit_members: true)

def add_member(project, principal, *roles)
  Member.create!(project: project, principal: principal, roles: roles)
end

add_member(projects[0], people[0], roles[0])
add_member(projects[0], people[1], roles[3])
add_member(projects[0], groups[1], roles[2])
add_member(projects[1], groups[0], roles[1])
add_member(projects[1], people[6], roles[2], roles[0])
add_member(projects[1], people[7], roles[4])
add_member(projects[1], people[11], roles[5])
add_member(projects[2], people[2], roles[2])
add_member(projects[2], people[8], roles[5])
add_member(projects[2], people[9], roles[2], roles[4])
add_member(projects[2], Group.non_member, roles[3])
add_member(projects[4], people[7], roles[4], roles[2])
add_member(projects[5], groups[0], roles[2])
add_member(projects[5], groups[1], roles[1])
add_member(projects[5], people[10], roles[5], roles[2])
add_member(projects[7], people[9], roles[0])

# In the last project, each role has somebody without another one.
[0, 1, 2, 5, 6, 7].zip(roles) { |index, role| add_member(projects[8], people[index], role) }

def attach(container, author, name)
  file = Attachment.new(container: container, author: author, filename: name, content_type: 'text/plain')
  file.file = StringIO.new("Content of #{name} of #{container.class}")
  file.filename = name
  file.save!
end

dice = Random.new(24)
possible = people + groups
projects.each_with_index do |project, number|
  wiki = Wiki.find_or_create_by!(project: project) { |one| one.start_page = 'Wiki' }
  2.times do |index|
    page = WikiPage.new(wiki: wiki, title: "Page_#{index}_größe")
    page.content = WikiContent.new(page: page, text: "# Page #{index}\n\nText of #{project.name}", author: admin)
    page.save!
    attach(page, admin, "wiki #{index}.txt") if index.zero?
  end
  attach(project, admin, "file of #{project.identifier}.txt")
  next unless project.module_enabled?(:issue_tracking)

  7.times do |index|
    issue = Issue.new(
      project: project, tracker: trackers[index % 3], author: people.sample(random: dice), status: status,
      priority: IssuePriority.first, subject: "Issue #{index} of #{project.name}", description: "Größe *#{index}*",
      is_private: index % 3 == 1
    )
    issue.assigned_to = possible.sample(random: dice) if index.even?
    issue.save!(validate: false)
    attach(issue, admin, "issue #{index}.txt") if index == 1
    issue.journals.create!(user: people[0], notes: "Note in public #{index}")
    issue.journals.create!(user: people[0], notes: "Note in secret #{index}", private_notes: true)
  end
end
projects[4].close
projects[7].archive
people[8].update_column(:status, User::STATUS_LOCKED)

keys = User.where.not(login: '').to_h { |user| [user.login, user.api_key] }
File.write(ENV.fetch('REDMINE_KEYS'), keys.to_json)
User.current = nil
