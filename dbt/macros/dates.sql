{# The day the portfolio is reported for, a literal: as_of_date, or today in the business time zone. It is no part of a model's state (macros/states.sql). #}
{% macro as_of_date() -%}
    {%- if is_rendering_state() -%}
        {{ return('as_of_date') }}
    {%- endif -%}
    {%- set day = var('as_of_date') or run_started_at.astimezone(modules.pytz.timezone(var('business_time_zone'))).strftime('%Y-%m-%d') -%}
    cast('{{ day }}' as date)
{%- endmacro %}

{# The days between which calendars are made: as far from the reporting date as the variable calendar_years says. #}
{% macro calendar_years() -%}
    {%- set years = var('calendar_years') | int -%}
    {%- if years < 1 or years > 130 -%}
        {{ exceptions.raise_compiler_error("the variable calendar_years is " ~ var('calendar_years') ~ "; set it to a number of years from 1 to 130") }}
    {%- endif -%}
    {{ return(years) }}
{%- endmacro %}
{% macro first_calendar_day(day) -%}{{ add_months(month_start(day), -12 * calendar_years()) }}{%- endmacro %}
{% macro last_calendar_day(day) -%}{{ month_end(add_months(day, 12 * calendar_years())) }}{%- endmacro %}

{# What SQL Server calls a time zone. #}
{% macro windows_time_zone(name) -%}
    {%- set names = {
        'UTC': 'UTC',
        'Asia/Bangkok': 'SE Asia Standard Time',
        'Asia/Ho_Chi_Minh': 'SE Asia Standard Time',
        'Asia/Singapore': 'Singapore Standard Time',
        'Asia/Tokyo': 'Tokyo Standard Time',
        'Europe/Berlin': 'W. Europe Standard Time',
        'Europe/London': 'GMT Standard Time',
        'America/New_York': 'Eastern Standard Time',
        'America/Los_Angeles': 'Pacific Standard Time',
        'Australia/Sydney': 'AUS Eastern Standard Time',
    } -%}
    {%- if name not in names -%}
        {{ exceptions.raise_compiler_error("business_time_zone " ~ name ~ " has no name for SQL Server yet; add it to windows_time_zone in dbt/macros/dates.sql") }}
    {%- endif -%}
    {{ return(names[name]) }}
{%- endmacro %}

{# The business day of an instant in UTC. #}
{% macro business_date(instant) -%}{{ return(adapter.dispatch('business_date')(instant)) }}{%- endmacro %}
{% macro default__business_date(instant) -%}
    cast({{ instant }} at time zone 'UTC' at time zone '{{ var("business_time_zone") }}' as date)
{%- endmacro %}
{% macro sqlserver__business_date(instant) -%}
    cast({{ instant }} at time zone 'UTC' at time zone '{{ windows_time_zone(var("business_time_zone")) }}' as date)
{%- endmacro %}

{% macro add_days(day, count) -%}{{ return(adapter.dispatch('add_days')(day, count)) }}{%- endmacro %}
{% macro default__add_days(day, count) -%}({{ day }} + cast({{ count }} as integer)){%- endmacro %}
{% macro sqlserver__add_days(day, count) -%}dateadd(day, {{ count }}, {{ day }}){%- endmacro %}

{# The same day of another month, or that month's last. #}
{% macro add_months(day, count) -%}{{ return(adapter.dispatch('add_months')(day, count)) }}{%- endmacro %}
{% macro default__add_months(day, count) -%}cast({{ day }} + make_interval(months => cast({{ count }} as integer)) as date){%- endmacro %}
{% macro sqlserver__add_months(day, count) -%}dateadd(month, {{ count }}, {{ day }}){%- endmacro %}

{% macro days_between(first, last) -%}{{ return(adapter.dispatch('days_between')(first, last)) }}{%- endmacro %}
{% macro default__days_between(first, last) -%}({{ last }} - {{ first }}){%- endmacro %}
{% macro sqlserver__days_between(first, last) -%}datediff(day, {{ first }}, {{ last }}){%- endmacro %}

{# Calendar months from one day's month to another's. #}
{% macro months_between(first, last) -%}{{ return(adapter.dispatch('months_between')(first, last)) }}{%- endmacro %}
{% macro default__months_between(first, last) -%}
    cast((extract(year from {{ last }}) - extract(year from {{ first }})) * 12 + extract(month from {{ last }}) - extract(month from {{ first }}) as integer)
{%- endmacro %}
{% macro sqlserver__months_between(first, last) -%}datediff(month, {{ first }}, {{ last }}){%- endmacro %}

{% macro month_end(day) -%}{{ return(adapter.dispatch('month_end')(day)) }}{%- endmacro %}
{% macro default__month_end(day) -%}cast(date_trunc('month', {{ day }}) + interval '1 month' - interval '1 day' as date){%- endmacro %}
{% macro sqlserver__month_end(day) -%}eomonth({{ day }}){%- endmacro %}

{% macro month_start(day) -%}{{ return(adapter.dispatch('month_start')(day)) }}{%- endmacro %}
{% macro default__month_start(day) -%}cast(date_trunc('month', {{ day }}) as date){%- endmacro %}
{% macro sqlserver__month_start(day) -%}datefromparts(year({{ day }}), month({{ day }}), 1){%- endmacro %}

{# Hours from one instant to another, with four decimals. #}
{% macro hours_between(first, last) -%}{{ return(adapter.dispatch('hours_between')(first, last)) }}{%- endmacro %}
{% macro default__hours_between(first, last) -%}
    cast(extract(epoch from ({{ last }} - {{ first }})) / 3600 as numeric(19, 4))
{%- endmacro %}
{% macro sqlserver__hours_between(first, last) -%}
    cast(datediff_big(microsecond, {{ first }}, {{ last }}) / 3600000000.0 as numeric(19, 4))
{%- endmacro %}

{% macro date_part_of(part, day) -%}{{ return(adapter.dispatch('date_part_of')(part, day)) }}{%- endmacro %}
{% macro default__date_part_of(part, day) -%}cast(extract({{ part }} from {{ day }}) as integer){%- endmacro %}
{% macro sqlserver__date_part_of(part, day) -%}datepart({{ part }}, {{ day }}){%- endmacro %}

{# 1 for Monday to 7 for Sunday, whatever DATEFIRST says. #}
{% macro weekday_of(day) -%}{{ return(adapter.dispatch('weekday_of')(day)) }}{%- endmacro %}
{% macro default__weekday_of(day) -%}cast(extract(isodow from {{ day }}) as integer){%- endmacro %}
{% macro sqlserver__weekday_of(day) -%}datediff(day, cast('1900-01-01' as date), {{ day }}) % 7 + 1{%- endmacro %}

{# CTEs `digits` and `spine`: whole numbers n from 0 to ten to the power of `places`, exclusive. #}
{% macro number_spine(places) -%}
digits as (
    select d.n from (values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) as d(n)
),

spine as (
    select {% for place in range(places) %}{{ 10 ** place }} * d{{ place }}.n{{ " + " if not loop.last }}{% endfor %} as n
    from digits as d0
    {%- for place in range(1, places) %}
    cross join digits as d{{ place }}
    {%- endfor %}
)
{%- endmacro %}

{#
    PERCENTILE_CONT in each group of a relation, and aggregates beside: a row a group. One pass, so that nothing need be joined.
    Aggregates on PostgreSQL, window functions on SQL Server. percentiles: name of column → (value, fraction); totals: name → aggregate.
#}
{% macro percentiles(relation, groups, percentiles, totals={}) -%}
    {{ return(adapter.dispatch('percentiles')(relation, groups, percentiles, totals)) }}
{%- endmacro %}
{% macro default__percentiles(relation, groups, percentiles, totals) -%}
    select {{ groups | join(', ') }}
        {%- for name, (value, fraction) in percentiles.items() %},
        cast(percentile_cont({{ fraction }}) within group (order by {{ value }}) as numeric(19, 4)) as {{ name }}
        {%- endfor %}
        {%- for name, total in totals.items() %},
        {{ total }} as {{ name }}
        {%- endfor %}
    from {{ relation }}
    group by {{ groups | join(', ') }}
{%- endmacro %}
{% macro sqlserver__percentiles(relation, groups, percentiles, totals) -%}
    select distinct {{ groups | join(', ') }}
        {%- for name, (value, fraction) in percentiles.items() %},
        cast(percentile_cont({{ fraction }}) within group (order by {{ value }}) over (partition by {{ groups | join(', ') }}) as numeric(19, 4)) as {{ name }}
        {%- endfor %}
        {%- for name, total in totals.items() %},
        {{ total }} over (partition by {{ groups | join(', ') }}) as {{ name }}
        {%- endfor %}
    from {{ relation }}
{%- endmacro %}
