{#
    What made the rows of a model, beside the data: build.model_state(model, state).

    A state is a hash of the SQL that makes all rows of the model, in which every variable, environment variable and macro is written out, and of
    the states of the models and seeds that it reads, as they were when it read them. A seed's state is that of its file. So nothing has to be
    declared: what a model depends on is in its SQL. A model whose state is another than the one that made its rows is built as by
    --full-refresh, and so is everything behind it, in the same build or in a later one: should_full_refresh() asks for it, is_incremental() is false.

    Only the reporting date is no part of it: it is another every day, and the rows follow it by snapshot_calendar and reporting_date.
    ods and the raw vault keep none: they are inserted into, whatever the variables say, and a test holds them to it.
#}
{% macro create_states() %}
    {%- if execute %}
    {{ create_work_table('build.model_state', 'model varchar(128) not null, state varchar(32) not null, constraint pk_model_state primary key (model)') }}
    {%- endif %}
{% endmacro %}

{% macro keeps_state(node) -%}
    {{ return(node.resource_type == 'seed' or (node.resource_type == 'model' and not kind_of(node))) }}
{%- endmacro %}

{# The names of the models and seeds whose states are part of that of `node`: those that it reads, and through views those behind them. #}
{% macro state_inputs(node) -%}
    {%- set found = [] -%}
    {%- for id in node.depends_on.nodes if id.split('.')[0] in ('model', 'seed') -%}
        {%- set input = node_of(id) -%}
        {%- if keeps_state(input) -%}
            {%- do found.append(input.name) -%}
            {%- if input.config.materialized == 'view' -%}
                {%- do found.extend(state_inputs(input)) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found | unique | sort | list) }}
{%- endmacro %}

{# What is known of states in this run, which all of its nodes share. `rendering`: whose whole SQL is being written out. #}
{% macro states_of_run() -%}
    {{ return(graph.setdefault('creditmesh_states', {'rendering': [], 'known': {}})) }}
{%- endmacro %}

{% macro is_rendering_state() -%}
    {{ return(model.unique_id in states_of_run().rendering) }}
{%- endmacro %}

{# The hash of a node's own part: of a seed its file and types, of a model the SQL of all of its rows without comments and white space. #}
{% macro own_state() -%}
    {%- if model.resource_type == 'seed' -%}
        {{ return(local_md5(model.checksum.checksum ~ tojson(model.config.column_types, sort_keys=true))) }}
    {%- endif -%}
    {%- set rendering = states_of_run().rendering -%}
    {%- do rendering.append(model.unique_id) -%}
    {%- set text = render(model.raw_code) | replace(adapter.quote(target.database) ~ '.', '') -%}
    {%- do rendering.remove(model.unique_id) -%}
    {{ return(local_md5(modules.re.sub('\\s+', ' ', modules.re.sub('--[^\\n]*', '', text)) | trim)) }}
{%- endmacro %}

{# Whether nodes write: only then is there a database to ask. #}
{% macro states_are_kept() -%}
    {{ return(execute and flags.WHICH in ('build', 'run', 'seed') and var('compile_incremental', none) is none) }}
{%- endmacro %}

{# The state of this node, and the one that made the rows that are there (none when that is not known). Asked for once a run. #}
{% macro state_of_this() -%}
    {%- if not states_are_kept() -%}
        {{ return({'state': own_state(), 'recorded': none}) }}
    {%- endif -%}
    {%- set known = states_of_run().known -%}
    {%- if model.unique_id not in known -%}
        {%- set inputs = state_inputs(model) -%}
        {%- set recorded = {} -%}
        {%- for row in run_query("select s.model, s.state from build.model_state as s where s.model in ('" ~ (inputs + [model.name]) | join("', '") ~ "')").rows -%}
            {%- do recorded.update({row[0]: row[1]}) -%}
        {%- endfor -%}
        {%- set parts = [own_state()] -%}
        {%- for name in inputs -%}
            {%- do parts.append(name ~ '=' ~ recorded.get(name, '')) -%}
        {%- endfor -%}
        {%- do known.update({model.unique_id: {'state': local_md5(parts | join(',')), 'recorded': recorded.get(model.name)}}) -%}
    {%- endif -%}
    {{ return(known[model.unique_id]) }}
{%- endmacro %}

{# Whether the rows that are there were made by something else than what this run would make them by. #}
{% macro was_made_otherwise() -%}
    {%- if states_are_kept() and keeps_state(model) and model.config.materialized in ('incremental', 'seed') and not model.config.meta.get('made_whole') -%}
        {%- set found = state_of_this() -%}
        {{ return(found.recorded != found.state) }}
    {%- endif -%}
    {{ return(false) }}
{%- endmacro %}

{# What dbt asks before it builds an incremental model or a seed. #}
{% macro should_full_refresh() -%}
    {{ return(dbt.should_full_refresh() or was_made_otherwise()) }}
{%- endmacro %}

{# A pre-hook: the states of the inputs are noted before the first of their rows is read. #}
{% macro open_state() -%}
    {%- if states_are_kept() and keeps_state(model) -%}
        {%- set found = state_of_this() -%}
        {%- if was_made_otherwise() and found.recorded and not dbt.should_full_refresh() -%}
            {%- do log('rebuilds ' ~ model.name ~ ': its SQL, a variable, a seed or something before it is another than what made its rows', info=true) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# A post-hook, in the transaction of the rows: this is what made them. #}
{% macro close_state() -%}
    {%- if execute and keeps_state(model) and not is_rendering_state() -%}
    {%- set state = state_of_this().state -%}
    update build.model_state set state = '{{ state }}' where model = '{{ model.name }}' and state <> '{{ state }}';
    insert into build.model_state (model, state)
    select '{{ model.name }}', '{{ state }}'
    where not exists (select 1 from build.model_state where model = '{{ model.name }}');
    {%- endif -%}
{%- endmacro %}
