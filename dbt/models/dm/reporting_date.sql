{# Written in place, all of it: replacing the table would drop the views on it. #}
{{ config(materialized='incremental', incremental_strategy='append', meta={'made_whole': true}, pre_hook=["{{ delete_all() }}"]) }}

with
snapshot_calendar as {{ rows_of(ref('snapshot_calendar')) }},

final as (
    select
        c.snapshot_date as as_of_date,
        c.previous_month_end as last_month_end,
        cast('{{ var("business_time_zone") }}' as varchar(64)) as business_time_zone
    from snapshot_calendar as c
    where c.snapshot_kind = 'as_of'
)

select * from final
